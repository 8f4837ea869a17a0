"""A collector of OTLP/HTTP: prints each span as a line of JSON. Reads Protocol Buffers by opentelemetry-proto, where
that is installed, else by the few rules of the encoding that spans need."""

import http.server
import json
import sys

try:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
except ImportError:
    ExportTraceServiceRequest = None


def fields(data):
    place = 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while place < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        elif tag & 7 == 1:
            yield tag >> 3, int.from_bytes(data[place:place + 8], "little")
            place += 8
        elif tag & 7 == 2:
            count = varint()
            yield tag >> 3, data[place:place + count]
            place += count
        else:
            raise ValueError(f"wire type {tag & 7}")


def get(data, number, default=b""):
    return next((value for field, value in fields(data) if field == number), default)


def attributes(data, number):
    pairs = (value for field, value in fields(data) if field == number)
    found = {}
    for pair in pairs:
        value = get(pair, 2)
        text, whole = get(value, 1, None), get(value, 3, None)
        found[get(pair, 1).decode()] = text.decode() if text is not None else whole
    return found


def by_hand(body):
    for field, resource_spans in fields(body):
        if field != 1:
            continue
        resource = attributes(get(resource_spans, 1), 1)
        for field, scope_spans in fields(resource_spans):
            if field != 2:
                continue
            for field, span in fields(scope_spans):
                if field == 2:
                    yield {
                        "resource": resource, "trace": get(span, 1).hex(), "span": get(span, 2).hex(),
                        "parent": get(span, 4).hex(), "name": get(span, 5).decode(), "kind": get(span, 6, 0),
                        "start": get(span, 7, 0), "end": get(span, 8, 0), "attributes": attributes(span, 9)}


def by_library(body):
    def values(pairs):
        return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}

    request = ExportTraceServiceRequest()
    request.ParseFromString(body)
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield {
                    "resource": values(resource_spans.resource.attributes), "trace": span.trace_id.hex(),
                    "span": span.span_id.hex(), "parent": span.parent_span_id.hex(), "name": span.name,
                    "kind": span.kind, "start": span.start_time_unix_nano, "end": span.end_time_unix_nano,
                    "attributes": values(span.attributes)}


class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path != "/v1/traces" or self.headers["content-type"] != "application/x-protobuf":
            self.send_error(400)
            return
        for span in (by_library if ExportTraceServiceRequest else by_hand)(body):
            print(json.dumps(span), flush=True)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Collector)
decoder = "opentelemetry-proto" if ExportTraceServiceRequest else "by hand"
print(f"port {server.server_port} {decoder}", flush=True)
server.serve_forever()
