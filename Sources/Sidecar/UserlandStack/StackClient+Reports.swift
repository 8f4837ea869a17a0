// What the process says, and how little of it is believed.

import CLinuxShims
import Glibc
import SidecarProtocol

extension StackClient {
    func takeReports() {
        for _ in 0..<StackClient.messagesAtOnce {
            guard running != nil else { return }
            switch running?.channel.receive() {
            case .message(let bytes, let flow):
                do throws(StackMessageError) {
                    if !take(try StackReport(bytes), flow: flow) { return end("it broke the protocol") }
                } catch {
                    if flow >= 0 { close(flow) }
                    return end("\(error)")
                }
            case .end: return end("it closed its socket")
            case .nothing, nil:
                if let running { watcher?.watchOnce(running.channel.descriptor) }
                return
            }
        }
        if let running { watcher?.watchOnce(running.channel.descriptor) }
    }

    /// False where the stack says what it may not.
    private func take(_ report: StackReport, flow: Int32) -> Bool {
        if case .flow(let id, let tuple) = report {
            return take(flow, id.number, tuple)
        }
        guard flow < 0 else {
            close(flow)
            return false
        }
        switch report {
        case .ready, .flow: break
        case .counters(let counters): delegate?.stack(self, counts: counters)
        case .question(let id, let tuple):
            guard isVirtual(tuple), admit(id.number, tuple) else { return false }
            delegate?.stack(
                self, asks: ownID(id.number), from: Endpoint(tuple.source), to: Endpoint(tuple.destination))
        case .datagram(let tuple, let data):
            guard isVirtual(tuple) else { return false }
            delegate?.stack(
                self, received: data, from: Endpoint(tuple.source), to: Endpoint(tuple.destination))
        case .egress(let report):
            guard report.tuple.source.address == settings.own,
                !StackNetwork.contains(report.tuple.destination.address)
            else { return false }
            delegate?.stack(self, reports: report)
        }
        return true
    }

    private func take(_ flow: Int32, _ number: UInt64, _ tuple: FourTuple) -> Bool {
        guard flow >= 0, mesh_is_unix_stream(flow) == 1, mayOpen(number, tuple) else {
            if flow >= 0 { close(flow) }
            return false
        }
        // Withdrawn, while the connection was on its way.
        let isLate = served[tuple.destination] == false
        guard let delegate, !isLate else {
            close(flow)
            return true
        }
        delegate.stack(
            self, opened: flow, for: ownID(number), from: Endpoint(tuple.source),
            to: Endpoint(tuple.destination))
        return true
    }

    /// Whether the connection was asked for and let in, or goes where connections are let in unasked.
    private func mayOpen(_ number: UInt64, _ tuple: FourTuple) -> Bool {
        guard number <= StackClient.numberMask else { return false }
        if let known = running?.questions.removeValue(forKey: number) {
            return known.isOpen && known.tuple == tuple
        }
        return isVirtual(tuple) && served[tuple.destination] != nil
    }

    private func isVirtual(_ tuple: FourTuple) -> Bool {
        settings.datapath == .slirp && tuple.source.address == settings.own
            && StackNetwork.isDialled(tuple.destination.address)
    }

    /// Remembers a question. Some are never followed by a flow: the workload gave up, or the stack refused
    /// for want of an answer. Numbers grow, so that the lowest are the oldest.
    private func admit(_ number: UInt64, _ tuple: FourTuple) -> Bool {
        guard number <= StackClient.numberMask, let count = running?.questions.count,
            running?.questions[number] == nil
        else { return false }
        let most = Limits.stackFlowsMaximum + Limits.stackHeldMaximum
        if count >= most {
            let oldest = running?.questions.keys.sorted().prefix(most / 2) ?? []
            for number in oldest { running?.questions[number] = nil }
        }
        running?.questions[number] = (tuple, false)
        return true
    }

    // MARK: Question numbers

    static let generationShift: UInt64 = 40
    static let numberMask: UInt64 = 1 << generationShift - 1
    static let generationMask: UInt64 = 1 << 24 - 1

    /// The process's number, and which process's it is.
    private func ownID(_ number: UInt64) -> StackQuestionID {
        StackQuestionID(number: generation << StackClient.generationShift | number)
    }
}
