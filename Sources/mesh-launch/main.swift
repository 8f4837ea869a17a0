import Launcher

Launcher.run()
