// Real servers, as their users configure them.

import Foundation
import Testing

enum Curl {
    static func page(_ address: String) -> [String] {
        ["curl", "-sS", "--max-time", "30", address]
    }
}

enum Nginx {
    /// A site with a page that names it, and a file of 1 GB that takes no room, sent at 2 MB/s.
    static func write(_ mesh: Mesh, name: String, port: Int) throws {
        let folder = mesh.makeFolder(name)
        for path in ["site", "temporary"] { _ = mesh.makeFolder("\(name)/\(path)") }
        try mesh.write("the page of \(name)\n", to: "\(name)/site/index.html")
        let long = try mesh.write("", to: "\(name)/site/long")
        truncate(long, 1 << 30)
        try mesh.write(
            """
            \(mesh.person.uid == 0 ? "user www-data;" : "")
            worker_processes 1;
            pid \(folder)/pid;
            error_log stderr;
            events { worker_connections 256; }
            http {
                access_log off;
                client_body_temp_path temporary; proxy_temp_path temporary; fastcgi_temp_path temporary;
                uwsgi_temp_path temporary; scgi_temp_path temporary;
                server {
                    listen \(port);
                    root site;
                    location = /long { limit_rate 2m; }
                }
            }
            """, to: "\(name)/nginx.conf")
    }

    static func command(_ mesh: Mesh, _ name: String) -> [String] {
        ["nginx", "-p", "\(mesh.work)/\(name)", "-e", "stderr", "-c", "nginx.conf", "-g", "daemon off;"]
    }

    /// A config file for it, as `web`.
    static func workload(_ mesh: Mesh, accepts: [String]) -> String {
        """
        mesh: 1
        workload: web
        serves: [{port: 8080, protocol: tcp}]
        accepts: [\(accepts.map { "{from: \($0)}" }.joined(separator: ", "))]
        datapath: \(mesh.datapath.rawValue)

        """
    }
}

extension Mesh {
    /// nginx that listens.
    func nginx(_ name: String, port: Int, accepts: [String]) async throws -> Running {
        try Skip.unlessInstalled("nginx", "curl")
        try Nginx.write(self, name: name, port: port)
        let server = try launch(
            name, serves: ["\(port)"], accepts: accepts, command: Nginx.command(self, name))
        try await server.listens(on: port)
        return server
    }
}
