import SidecarProtocol

extension WorkloadName {
    /// A name as an operator writes it: NAME, in the namespace `default`, or NAMESPACE/NAME.
    init(argument text: String) throws(Complaint) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 2,
            let name = try? WorkloadName(
                namespace: parts.count == 2 ? parts[0] : "default", name: parts[parts.count - 1])
        else {
            throw Complaint(
                "\"\(text)\" is not a workload's name", fix: "write NAME or NAMESPACE/NAME", exitCode: 64)
        }
        self = name
    }
}
