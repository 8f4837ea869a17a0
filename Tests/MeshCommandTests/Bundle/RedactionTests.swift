import Testing

@testable import MeshCommand

@Suite struct RedactionTests {
    @Test(
        "what looks like a secret is taken out, and its name stays",
        arguments: [
            (#"{"command":["psql","--password","hunter2","-h","db"]}"#, "hunter2"),
            (#"command: [app, "--api-key", "k-123456"]"#, "k-123456"),
            ("started with --db-password s3cr3t --port 80", "s3cr3t"),
            ("DB_PASSWORD=correct-horse", "correct-horse"),
            (#""clientSecret": "abc/def+ghi=""#, "abc/def+ghi="),
            ("token: 0123456789abcdef", "0123456789abcdef"),
            ("GET / Authorization: Bearer abcdef0123456789", "abcdef0123456789"),
            ("authorization: Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA=="),
            ("dial postgres://app:pa55@db:5432/x failed", "pa55"),
            ("redis://:onlypass@cache:6379", "onlypass"),
            ("key AKIAIOSFODNN7EXAMPLE is used", "AKIAIOSFODNN7EXAMPLE"),
            ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdef"),
            ("xoxb-123456789012-abcdefghij", "xoxb-1234"),
            ("sk_live_abcdefghijklmnopqrstuvwx", "sk_live_abc"),
            ("rk_live_abcdefghijklmnopqrstuvwx", "rk_live_abc"),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVPmB92K27u", "dBjftJeZ4CVP"),
            ("Set-Cookie: session=0123456789", "session=0123456789"),
        ])
    func secrets(_ line: String, _ secret: String) {
        let (text, count) = Redaction.apply(line)
        #expect(!text.contains(secret), "\(text)")
        #expect(text.contains(Redaction.mark) && count > 0)
    }

    @Test("a private key is taken out whole, and what stands around it stays")
    func privateKey() {
        let text = """
            before
            -----BEGIN EC PRIVATE KEY-----
            MHcCAQEEIIGqfTqVf0
            -----END EC PRIVATE KEY-----
            after
            """
        let (clean, count) = Redaction.apply(text)
        #expect(clean == "before\n[redacted] a private key\nafter" && count == 1)
        #expect(!Redaction.apply("-----BEGIN PRIVATE KEY-----\nabc").text.contains("abc"))
    }

    @Test(
        "what the mesh says every day stays as it is",
        arguments: [
            #"{"identity":"spiffe://local-1/ns/default/w/web","policy_head":{"epoch":0,"hash":"00ff"}}"#,
            "2026-01-01T00:00:00Z info session with default/web established",
            "the issuer key can't be read; run mesh trust show",
            #"{"subject":"keys","state":"ok","text":"3 keys"}"#,
            "ok  trust  domain local-1, root key on this disk",
            #"mesh_certificate_not_after_seconds 1790000000"#,
            "otlp: http://127.0.0.1:4318", "authorization is continuous",
            #"{"cookie":null}"#,
        ])
    func plain(_ line: String) {
        let (text, count) = Redaction.apply(line)
        #expect(text == line && count == 0)
    }

    @Test("what was taken out once isn't counted again")
    func twice() {
        let once = Redaction.apply("password=x1 --token y2y2\nplain\npostgres://a:b@c")
        #expect(once.count == 3)
        let again = Redaction.apply(once.text)
        #expect(again.text == once.text && again.count == 0)
    }
}
