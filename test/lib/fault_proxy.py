#!/usr/bin/env python3
"""A proxy before an object store, for tests: passes requests on and does what the store never does when it is wanted to.

fault_proxy.py PORT UPSTREAM_PORT. POST /_rules with a JSON list sets the rules:
  {"method": "PUT", "match": "part of the URL", "skip": 0, "times": 1, "do": …, …}
  do: status (status, body, headers), reset, hang (seconds), delay (seconds), short, corrupt, twice,
      token: the token of a session is another when it gets to the store
  late: true: the store does what is asked before the answer is spoilt.
POST /_archive {"thaw_s": 2} makes it an archive: what is moved to the classes GLACIER or Archive cannot be read until it was asked
for and thaw_s have passed. GET /_log: the requests, one a line, each with its Host, its
Range and the names of the headers that are signed.
"""
import http.client
import http.server
import json
import re
import socket
import struct
import sys
import threading
import time

RULES, LOG, ARCHIVE, LOCK = [], [], {"thaw_s": None, "objects": {}}, threading.Lock()


def rule_for(method, url):
    with LOCK:
        for r in RULES:
            if r.get("method", method) != method or r.get("match", "") not in url or r.get("times", 1) <= 0:
                continue
            if r.get("skip", 0) > 0:
                r["skip"] -= 1
                continue
            r["times"] = r.get("times", 1) - 1
            return r
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream = 0

    def log_message(self, *args):
        pass

    def reply(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "date", "server"):
                self.send_header(name, value)
        length = dict((n.lower(), v) for n, v in headers).get("content-length")
        self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def control(self, body):
        with LOCK:
            if self.path == "/_log":
                return self.reply(200, "\n".join(LOG).encode())
            if self.path == "/_rules":
                RULES[:] = json.loads(body)
                LOG.clear()
            if self.path == "/_archive":
                ARCHIVE.update(thaw_s=json.loads(body)["thaw_s"])
        self.reply(200)

    def forward(self, body):
        c = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        try:
            c.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                c.putheader(name, value)
            c.endheaders(body)
            r = c.getresponse()
            return r.status, r.read(), r.getheaders()
        finally:
            c.close()

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def spoil(self, rule, answer, body):
        """Gives the answer as the rule wants it."""
        kind = rule["do"]
        if kind == "status":
            return self.reply(rule["status"], rule.get("body", "").encode(), tuple(rule.get("headers", {}).items()))
        if kind == "reset":
            return self.reset()
        if kind == "hang":
            time.sleep(rule.get("seconds", 60))
            return self.reset()
        if kind == "delay":
            time.sleep(rule["seconds"])
        if kind == "token":
            self.headers.replace_header("x-amz-security-token", "of-somebody-else")
        status, data, headers = answer or self.forward(body)
        if kind == "twice":
            status, data, headers = self.forward(body)
        if kind == "corrupt" and data:
            data = data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1:]
        if kind == "short":
            self.send_response(status)
            for name, value in headers:
                if name.lower() not in ("connection", "date", "server"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            return self.reset()
        return self.reply(status, data, headers)

    def archive(self, key):
        """True if the archive answers by itself."""
        moved = self.headers.get("x-amz-storage-class", "") in ("GLACIER", "DEEP_ARCHIVE") and self.headers.get("x-amz-copy-source")
        tier = self.headers.get("x-ms-access-tier") if "comp=tier" in self.path else None
        with LOCK:
            state = ARCHIVE["objects"].get(key)  # None: not there; inf: nobody asked; else when it is thawed
            if moved or tier == "Archive":
                ARCHIVE["objects"][key] = float("inf")
                self.reply(200, b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>" if moved else b"")
                return True
            if state is None:
                return False
            if "restore" in self.path or tier:
                ARCHIVE["objects"][key] = min(state, time.time() + ARCHIVE["thaw_s"])
                self.reply(202)
                return True
            if self.command == "GET" and state > time.time():
                azure = "x-ms-version" in self.headers
                code = "BlobArchived" if azure else "InvalidObjectState"
                self.reply(409 if azure else 403, f"<Error><Code>{code}</Code><Message>archived</Message></Error>".encode())
                return True
        return False

    def archive_headers(self, key):
        state = ARCHIVE["objects"].get(key)
        if state is None:
            return []
        going = state != float("inf")
        if "x-ms-version" in self.headers:
            if going and state <= time.time():
                return [("x-ms-access-tier", "Hot")]
            return [("x-ms-access-tier", "Archive")] + ([("x-ms-archive-status", "rehydrate-pending-to-hot")] if going else [])
        out = [("x-amz-storage-class", "GLACIER")]
        if going and state > time.time():
            out.append(("x-amz-restore", 'ongoing-request="true"'))
        elif going:
            out.append(("x-amz-restore", 'ongoing-request="false", expiry-date="Fri, 21 Dec 2040 00:00:00 GMT"'))
        return out

    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/_"):
            return self.control(body)
        with LOCK:
            signed = re.search(r"SignedHeaders=([^,]*)", self.headers.get("Authorization", ""))
            LOG.append(f"{self.command} {self.path} host={self.headers.get('Host')} range={self.headers.get('Range', '')} signed={signed[1] if signed else ''}")
        try:
            rule, key = rule_for(self.command, self.path), self.path.split("?")[0]
            if rule:
                return self.spoil(rule, self.forward(body) if rule.get("late") or rule["do"] == "twice" else None, body)
            if ARCHIVE["thaw_s"] is not None and self.archive(key):
                return None
            status, data, headers = self.forward(body)
            if self.command == "HEAD" and ARCHIVE["objects"].get(key):
                headers = [h for h in headers if h[0].lower() != "x-ms-access-tier"] + self.archive_headers(key)
            return self.reply(status, data, headers)
        except (ConnectionRefusedError, ConnectionResetError, http.client.HTTPException, socket.timeout):
            return self.reset()  # the store is down
        except BrokenPipeError:
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


if __name__ == "__main__":
    Handler.upstream = int(sys.argv[2])
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
