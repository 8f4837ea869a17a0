import Sidecar

Sidecar.run()
