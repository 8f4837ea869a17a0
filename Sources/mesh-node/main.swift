import Node

NodeProgram.run(CommandLine.arguments)
