import ArgumentParser

struct Trust: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "See the trust domain of this host, make one, and join one.",
        subcommands: [
            TrustShow.self, TrustInit.self, TrustRequestVerb.self, TrustSign.self, TrustInstall.self,
            TrustRotate.self, TrustPolicyKey.self,
        ])
}
