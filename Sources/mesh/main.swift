import MeshCommand

MeshProcess.run()
