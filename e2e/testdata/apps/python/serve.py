# The site as static files, served by Python.
import functools, http.server, signal, threading


class Site(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def end_headers(self):
        self.send_header("X-Version", "python")
        super().end_headers()


server = http.server.ThreadingHTTPServer(("", 9292), functools.partial(Site, directory="/static"))
server.daemon_threads = False
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()  # waits for what is being answered
