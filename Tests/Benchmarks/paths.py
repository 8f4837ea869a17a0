"""The ways from a client to a server that are compared. Each is raised by itself, and one that this machine
can't have is left out by name.

    loopback      client ─ server
    slirp4netns   client ─[slirp4netns]─ server                        one hop, not encrypted
    haproxy       client ─ haproxy ═mTLS═ haproxy ─ server             no namespaces
    pooled        the same, speaking HTTP: requests share h2 connections between the two
    judged        client ─[slirp4netns]─ haproxy ═mTLS═ haproxy ─[slirp4netns]─ server
    veth, slirp   client ─[mesh]═════════════════[mesh]─ server

A bracket is the border of a network namespace. Every path has the same servers at its end (nginx with one
worker and an answer of 100 bytes, and iperf3), and the same programs at its beginning.
"""

import json
import os
import shutil
import socket
import subprocess

from processes import Failure, until


class Path:
    """A way that is up: how a command gets to the client's place (`enter`), where it finds the servers, and
    whose processor time and memory are the way's own (`proxies`, asked anew each time)."""

    def __init__(self, name, enter, host, bulk_port, web_port, proxies=lambda: [], **more):
        self.name, self.enter, self.host = name, enter, host
        self.bulk_port, self.web_port, self.proxies = bulk_port, web_port, proxies
        self.__dict__.update(more)

    def at_client(self, *command):
        return [*self.enter, *map(str, command)]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def nginx_command(folder, port, name):
    """Writes nginx's files, and returns its command. Connections are many and stay as long as they like."""
    place = f"{folder}/nginx-{name}"
    os.mkdir(place, 0o755)
    temporary = "".join(
        f"{kind}_temp_path {place};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    with open(f"{place}/nginx.conf", "w") as file:
        file.write(f"""
user root; daemon off; master_process off; worker_processes 1; pid {place}/pid; error_log {place}/error.log;
events {{ worker_connections 16384; }}
http {{
    access_log off; {temporary} default_type text/plain; reset_timedout_connection off;
    keepalive_requests 1000000000; keepalive_timeout 3600;
    server {{ listen {port} backlog=4096; location / {{ return 200 "{"mesh" * 25}"; }} }}
}}
""")
    return ["nginx", "-p", place, "-c", f"{place}/nginx.conf", "-e", f"{place}/error.log"]


class Topology:
    """Everything that is up. `unavailable` says why a path isn't."""

    def __init__(self, processes, folder, mesh, client):
        self.processes, self.folder, self.mesh, self.client = processes, folder, mesh, client
        self.paths, self.unavailable = {}, {}
        self.host_servers = None

    makers = {}

    def raise_paths(self, names):
        for name in names:
            before = list(self.processes.running)
            try:
                path = self.makers[name](self)
                self._wait_for(path)
                self.paths[name] = path
            except (Failure, OSError) as problem:
                self.unavailable[name] = str(problem)
                started = [one for one in self.processes.running if one not in before]
                # What it started is of no use, but for the servers on the host.
                self.processes.end(*(one for one in started if not one.name.endswith("-host")))
        return self

    def raise_extra(self, name, maker):
        """One more path, for a figure that needs it."""
        path = maker()
        self._wait_for(path)
        self.paths[name] = path

    def _wait_for(self, path):
        """A path is up when both servers answer through it."""
        for port in filter(None, (path.web_port, path.bulk_port)):
            if port == path.web_port:
                self.processes.run(path.at_client(self.client, "first", path.host, port, 20), 30)
            else:
                command = path.at_client("iperf3", "-c", path.host, "-p", port, "-n", "1M", "-J")
                self.processes.run(command, 30)

    # Servers

    def servers_on_host(self):
        """Ports of iperf3 and nginx on the host's loopback, for all paths that end there."""
        if self.host_servers is None:
            bulk, web = free_port(), free_port()
            self.processes.start("iperf3-host", ["iperf3", "-s", "-B", "127.0.0.1", "-p", str(bulk)])
            self.processes.start("nginx-host", nginx_command(self.folder, f"127.0.0.1:{web}", "host"))
            self.host_servers = bulk, web
        return self.host_servers

    # slirp4netns

    def namespace(self, name):
        """A user and a network namespace with slirp4netns, as its users start it. Returns its number, the
        command to enter it, slirp4netns's number and its control socket."""
        needs("slirp4netns", "unshare", "nsenter")
        holder = self.processes.start(
            f"namespace-{name}", ["unshare", "-Urn", "sh", "-c", "echo made; exec sleep infinity"],
            stdout=subprocess.PIPE)
        if holder.stdout.readline() != b"made\n":
            raise Failure("unshare -Urn can't make a namespace here")
        control = f"{self.folder}/{name}.sock"
        slirp = self.processes.start(
            f"slirp4netns-{name}",
            ["slirp4netns", "-c", "-m", "65520", "-a", control, str(holder.pid), "tap0"])
        until("slirp4netns is ready", 10, lambda: os.path.exists(control), slirp)
        enter = ["nsenter", "-U", "-n", "--preserve-credentials", "-t", str(holder.pid)]
        return enter, slirp.pid, control

    def forward(self, control, port, guest_port):
        """Has slirp4netns forward a port of the host's loopback into its namespace."""
        order = {
            "execute": "add_hostfwd",
            "arguments": {
                "proto": "tcp", "host_addr": "127.0.0.1", "host_port": port,
                "guest_addr": "10.0.2.100", "guest_port": guest_port,
            },
        }
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(control)
            one.sendall(json.dumps(order).encode())
            one.shutdown(socket.SHUT_WR)
            answer = json.loads(one.recv(4096))
        if "error" in answer:
            raise Failure(f"slirp4netns can't forward port {port}: {answer['error']}")

    # haproxy

    def haproxy_pair(self, name, ways, mode="tcp"):
        """Two haproxy processes with mutual TLS between them, otherwise as haproxy comes.

        ways: [(port that it is to take, port of the server)]. Returns the numbers of both."""
        needs("haproxy", "openssl")
        certificates = self.certificates()
        alpn = "alpn h2,http/1.1" if mode == "http" else ""
        reuse = "http-reuse always" if mode == "http" else ""
        head = f"global\n  maxconn 8192\ndefaults\n  mode {mode}\n" + "".join(
            f"  timeout {kind}\n" for kind in ("connect 5s", "client 3600s", "server 3600s"))
        near, far = head, head
        for index, (front, server) in enumerate(ways):
            between = free_port()
            near += (
                f"listen near{index}\n  bind 127.0.0.1:{front}\n  {reuse}\n  server far 127.0.0.1:{between}"
                f" ssl verify required ca-file {certificates}/ca.pem crt {certificates}/client.pem"
                f" sni str(server) verifyhost server {alpn}\n")
            far += (
                f"listen far{index}\n  bind 127.0.0.1:{between} ssl crt {certificates}/server.pem"
                f" ca-file {certificates}/ca.pem verify required {alpn}\n  {reuse}\n"
                f"  server server 127.0.0.1:{server}\n")
        started = []
        for side, text in (("far", far), ("near", near)):
            file = f"{self.folder}/haproxy-{name}-{side}.cfg"
            with open(file, "w") as out:
                out.write(text)
            process = self.processes.start(f"haproxy-{name}-{side}", ["haproxy", "-db", "-f", file])
            started.append(process.pid)
        return started

    def certificates(self):
        """A root and two leaves of P-256, made once."""
        folder = f"{self.folder}/certificates"
        if os.path.exists(folder):
            return folder
        os.mkdir(folder, 0o700)

        def openssl(*arguments):
            self.processes.run(["openssl", *arguments], 30, cwd=folder)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
        for name in ("client", "server"):
            with open(f"{folder}/{name}.ext", "w") as file:
                file.write(f"subjectAltName=DNS:{name}\n")
            openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
            openssl(
                "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.crt")
            with open(f"{folder}/{name}.pem", "w") as out:
                for part in ("crt", "key"):
                    with open(f"{folder}/{name}.{part}") as file:
                        out.write(file.read())
        return folder


def needs(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Failure(f"there is no {program}: Scripts/set-up bench installs it")


# The peers' paths; mesh.py adds its own.


def loopback(topology):
    bulk, web = topology.servers_on_host()
    return Path("loopback", [], "127.0.0.1", bulk, web)


def slirp4netns(topology):
    bulk, web = topology.servers_on_host()
    enter, slirp, _ = topology.namespace("hop")
    # 10.0.2.2 is the host's loopback.
    return Path("slirp4netns", enter, "10.0.2.2", bulk, web, lambda: [slirp])


def haproxy(topology):
    servers = topology.servers_on_host()
    bulk, web = free_port(), free_port()
    pair = topology.haproxy_pair("plain", zip((bulk, web), servers))
    return Path("haproxy", [], "127.0.0.1", bulk, web, lambda: pair)


def pooled(topology):
    _, server = topology.servers_on_host()
    web = free_port()
    pair = topology.haproxy_pair("pooled", [(web, server)], mode="http")
    return Path("pooled", [], "127.0.0.1", None, web, lambda: pair)


def judged(topology):
    server_enter, server_slirp, control = topology.namespace("judged-server")
    forwarded = free_port(), free_port()
    commands = ["iperf3", "-s", "-p", "5201"], nginx_command(topology.folder, 8080, "judged")
    for name, command in zip(("iperf3-judged", "nginx-judged"), commands):
        topology.processes.start(name, server_enter + command)
    for port, guest_port in zip(forwarded, (5201, 8080)):
        topology.forward(control, port, guest_port)
    fronts = free_port(), free_port()
    pair = topology.haproxy_pair("judged", list(zip(fronts, forwarded)))
    enter, slirp, _ = topology.namespace("judged-client")
    proxies = [slirp, *pair, server_slirp]
    return Path("judged", enter, "10.0.2.2", *fronts, lambda: proxies)


for maker in (loopback, slirp4netns, haproxy, pooled, judged):
    Topology.makers[maker.__name__] = maker
