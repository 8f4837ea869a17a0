// `POST /drill`: how long cuts take on this sidecar, now.

import Logging
import SidecarProtocol
import Transport

extension Driver {
    /// `POST /drill`. The body is the number of samples, or nothing.
    func startDrill(_ body: [UInt8], _ answer: @escaping (AdminResponse) -> Void) {
        let text = String(decoding: body, as: UTF8.self)
        guard let samples = text.isEmpty ? 100 : Int(text), (1...Limits.drillSamplesMaximum).contains(samples)
        else {
            return answer(
                .text(400, "\"\(text.prefix(20))\" isn't a number from 1 to \(Limits.drillSamplesMaximum)"))
        }
        guard drill == nil else { return answer(.text(409, "a drill is under way")) }
        guard stage == .ready else { return answer(.text(409, "\(workload) isn't ready")) }
        let epoch = node.decisionEpoch.number
        do {
            drill = try DrillRun(samples: samples, on: loop) { [unowned self] outcome in
                drill = nil
                answer(drillAnswer(outcome, epochBefore: epoch))
            }
            logger.info("drill: \(samples) cuts of canary flows")
            drill?.start()
        } catch {
            answer(.text(500, "the drill can't begin: \(error)"))
        }
    }

    private func drillAnswer(_ outcome: DrillRun.Outcome, epochBefore: UInt64) -> AdminResponse {
        switch outcome {
        case .failure(let failure):
            logger.error("drill: \(failure)")
            return .text(500, "\(failure)")
        case .success(let drill):
            return .json { json in
                json.member("samples_ns", array: drill.samples) { $0.value($1) }
                json.member("last_byte_max_ns", drill.lastByteMaximum)
                json.member("bytes_after_cut", drill.bytesAfterCut)
                json.member("decision_epoch_before", epochBefore)
                json.member("decision_epoch_after", node.decisionEpoch.number)
                json.member("flows_open", node.status.flowCount)
            }
        }
    }
}
