import Logging
import SidecarProtocol

extension Driver {
    /// Begins, changes or ends the export of spans, as the configuration says.
    func exportSpans() {
        let wanted = node.configuration.telemetry
        guard wanted != spans?.endpoint else { return }
        spans = wanted.map { endpoint in
            let source = SpanSource(
                workload: workload, version: node.configuration.version, instance: launch.instance)
            return SpanExporter(endpoint, source: source, on: loop) { [logger] in logger.warning("\($0)") }
        }
    }
}
