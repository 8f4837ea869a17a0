// Asking the host's issuer for a certificate.

import NIOCore
import SidecarProtocol

package enum IssuerClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The issuer says no; the reason is for the user.
    case refused(String)
    /// No answer came in time; the last thing that went wrong.
    case unanswered(String)
    /// What came isn't an answer to this request.
    case malformed(String)

    package var description: String {
        switch self {
        case .refused(let reason): reason
        case .unanswered(let problem):
            "no certificate from this host's issuer: \(problem); see `mesh check`"
        case .malformed(let problem): "the issuer's answer can't be used: \(problem)"
        }
    }
}

/// Requests to one issuer. On one event loop.
package final class IssuerClient {
    package typealias Completion = (Result<IssuedCertificate, IssuerClientError>) -> Void

    private let path: String
    private let eventLoop: any EventLoop
    private var exchanges: [ObjectIdentifier: IssuerExchange] = [:]

    /// - Parameter path: `MeshPaths.issuerSocket`.
    package init(path: String, eventLoop: any EventLoop) {
        self.path = path
        self.eventLoop = eventLoop
    }

    /// Connects, asks, and asks again until there is an answer or the time is over: the node may be
    /// just starting, or be replaced.
    ///
    /// - Parameters:
    ///   - key: the pair of the request's signing key.
    ///   - completion: called once, on the event loop; never after `close`.
    package func request(
        _ request: IssuerRequest, signedBy key: SigningKeyPair, timeout: TimeAmount = .seconds(10),
        completion: @escaping Completion
    ) {
        let exchange = IssuerExchange(path: path, request: request, key: key, eventLoop: eventLoop)
        exchanges[ObjectIdentifier(exchange)] = exchange
        exchange.start(timeout: timeout) { [unowned exchange] result in
            self.exchanges[ObjectIdentifier(exchange)] = nil
            completion(result)
        }
    }

    package func close() {
        for exchange in exchanges.values { exchange.cancel() }
        exchanges.removeAll()
    }
}

/// One request, and a connection for its answer.
private final class IssuerExchange {
    private let request: IssuerRequest
    private let signed: [UInt8]
    private let eventLoop: any EventLoop
    private var socket: FrameSocket!
    private var timer: Scheduled<Void>?
    private var completion: IssuerClient.Completion?
    private var problem = "it doesn't answer"

    init(path: String, request: IssuerRequest, key: SigningKeyPair, eventLoop: any EventLoop) {
        self.request = request
        self.eventLoop = eventLoop
        signed = request.signed(by: key)
        socket = FrameSocket(path: path, eventLoop: eventLoop, delayMaximum: .milliseconds(100)) {
            [unowned self] in handle($0)
        }
    }

    func start(timeout: TimeAmount, _ completion: @escaping IssuerClient.Completion) {
        self.completion = completion
        timer = eventLoop.assumeIsolated().scheduleTask(in: timeout) {
            self.finish(.failure(.unanswered(self.problem)))
        }
        socket.start()
    }

    func cancel() {
        completion = nil
        timer?.cancel()
        socket.close()
    }

    private func handle(_ event: FrameSocket.Event) {
        switch event {
        case .connected: socket.send(signed)
        case .disconnected(let reason): problem = reason
        case .frame(let body): finish(read(body))
        }
    }

    private func read(_ body: [UInt8]) -> Result<IssuedCertificate, IssuerClientError> {
        switch Result(catching: { () throws(IssuerMessageError) in try IssuerAnswer(canonical: body) }) {
        case .failure(let error): return .failure(.malformed("\(error)"))
        case .success(.refused(let reason)): return .failure(.refused(reason))
        case .success(.issued(let issued)):
            let leaf = issued.chain.leaf.contents
            guard leaf.instance == request.instance, leaf.staticKey == request.staticKey,
                leaf.signingKey == request.signingKey, leaf.subject == request.subject
            else { return .failure(.malformed("the certificate is another's")) }
            return .success(issued)
        }
    }

    private func finish(_ result: Result<IssuedCertificate, IssuerClientError>) {
        let completion = completion
        cancel()
        completion?(result)
    }
}
