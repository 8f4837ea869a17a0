package enum Usage {
    package static let version = "0.1.0"

    package static let text = """
        mesh-launch: run a program behind its own sidecar, which is its only network

        usage: mesh-launch [--config FILE] [options] -- COMMAND [ARGUMENT…]

        Every option is the twin of a key of the config file; fsync, conditional and memory of its state have
        none. Single values override the file's, lists extend it. The -- and the command may be left out
        where the file has a command.

          --config FILE            the workload's config file
          --name [NAMESPACE/]NAME  its name; without one it may call, but not serve
          --namespace NAMESPACE    default: "default"
          --workload-version TEXT  its version
          --user USER              auto, keep, root or (when started by root) a Unix user
          --serve PORT[/udp]       a port that it listens on
          --accept WHO[:PORT,…]    who may call it, and on which ports
          --call NAME[:PORT]       whom it may call; with a port, the call waits for its callee
          --egress HOST:PORT       where it may go outside the mesh
          --datapath PATH          auto, veth or slirp
          --consistency KIND       none or eventual: of its state at state.mesh:6379
          --records KIND           optional, or required: no new flow while its records can't be kept
          --otlp URL               where spans of its flows go, such as http://127.0.0.1:4318, or none
          --socket PATH            a unix socket that stays reachable for it
          --listen ADDRESS:PORT    where its sidecar listens for peers
          --advertise ADDRESS:PORT what peers are told to dial instead

          --join                   run beside another instance of this name that has another config
          --log-stderr             the sidecar logs to standard error, not to its file
          --print-config           print the configuration as YAML, and end
          --dry-run                print what would be done, and end
          --version, --help

        Exit codes: the command's own, or death by its signal; 125 mesh's own failure, 126 the command
        can't be executed, 127 it isn't found.

        """
}
