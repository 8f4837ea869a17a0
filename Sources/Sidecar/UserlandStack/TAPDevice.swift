import CLinuxShims
import Glibc
import SidecarProtocol

/// The workload's TAP: frames in and out, and a queue for those that it doesn't take at once. A frame of
/// libslirp's is never dropped while there is room: a lost one stalls its connection for a second.
struct TAPDevice {
    let descriptor: Int32
    private var queue: [[UInt8]] = []
    private(set) var droppedCount: UInt64 = 0
    private let buffer: UnsafeMutableRawBufferPointer
    /// While frames are read, an acknowledgement waits for the next one, which may say more.
    private var delays = false
    private var delayed: (acknowledgement: BareAcknowledgement, frame: [UInt8])?

    init(descriptor: Int32) {
        self.descriptor = descriptor
        // The device's transmission unit, an Ethernet header, and room to notice what is longer.
        buffer = .allocate(byteCount: StackNetwork.transmissionUnit + 64, alignment: 16)
    }

    var isBlocked: Bool { !queue.isEmpty }

    var hardwareAddress: HardwareAddress? {
        var bytes: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0, 0, 0)
        let result = withUnsafeMutableBytes(of: &bytes) {
            mesh_tap_hardware_address(descriptor, $0.bindMemory(to: UInt8.self).baseAddress)
        }
        guard result == 0 else { return nil }
        return HardwareAddress(withUnsafeBytes(of: bytes) { Array($0) })
    }

    /// The next frame, in a buffer that the next call overwrites; nil: none now.
    func read() -> UnsafeRawBufferPointer? {
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        return count > 0 ? UnsafeRawBufferPointer(rebasing: buffer[0..<count]) : nil
    }

    mutating func delayAcknowledgements() { delays = true }

    mutating func endDelay() {
        delays = false
        writeDelayed()
    }

    private mutating func writeDelayed() {
        guard let frame = delayed?.frame else { return }
        delayed = nil
        frame.withUnsafeBytes { writeNow($0) }
    }

    mutating func write(_ frame: UnsafeRawBufferPointer) {
        guard delays else { return writeNow(frame) }
        let acknowledgement = BareAcknowledgement(frame.bytes)
        if let earlier = delayed?.acknowledgement {
            if let acknowledgement, earlier.isOvertaken(by: acknowledgement) {
                delayed = nil
            } else {
                writeDelayed()
            }
        }
        if let acknowledgement {
            delayed = (acknowledgement, Array(frame))
        } else {
            writeNow(frame)
        }
    }

    private mutating func writeNow(_ frame: UnsafeRawBufferPointer) {
        if queue.isEmpty, put(frame) { return }
        guard queue.count < Limits.stackFramesMaximum else {
            droppedCount &+= 1
            return
        }
        queue.append(Array(frame))
    }

    mutating func flush() {
        var sent = 0
        while sent < queue.count, queue[sent].withUnsafeBytes(put) { sent += 1 }
        queue.removeFirst(sent)
    }

    /// False where there is no room now. Any other failure (the device is down) can't be mended by waiting.
    private func put(_ frame: UnsafeRawBufferPointer) -> Bool {
        let count = Glibc.write(descriptor, frame.baseAddress, frame.count)
        return count >= 0 || errno != EAGAIN && errno != ENOBUFS
    }
}
