"""Logins to a mail server, one word for each: refused, accepted, shut (no connection), or what went wrong.

attack.py SERVER FROM SERVICE TIMES PASSWORD
"""
import base64
import socket
import ssl
import sys

PORTS = {"smtp": 25, "submissions": 465, "submission": 587, "imap": 993, "pop": 995}
USER = "alice@example.test"


def connect(server, source, service):
    """A connection, wrapped in TLS where the port speaks nothing else."""
    plain = socket.create_connection((server, PORTS[service]), 2, (source, 0))
    plain.settimeout(15)
    if service in ("smtp", "submission"):
        return plain
    return ssl._create_unverified_context().wrap_socket(plain)


class Talk:
    """Lines there and back."""

    def __init__(self, connection):
        self.connection = connection
        self.file = connection.makefile("rb")

    def say(self, line):
        self.connection.sendall(line.encode() + b"\r\n")

    def hear(self):
        return self.file.readline().decode(errors="replace").strip()

    def reply(self):
        """The last line of an SMTP reply."""
        while True:
            line = self.hear()
            if line[3:4] != "-":
                return line


def smtp(talk, password):
    talk.reply()
    talk.say("EHLO bot.example.net")
    talk.reply()
    talk.say("AUTH PLAIN " + base64.b64encode(f"\0{USER}\0{password}".encode()).decode())
    answer = talk.reply()
    talk.say("QUIT")
    talk.reply()
    return {"235": "accepted", "535": "refused"}.get(answer[:3], answer or "closed")


def imap(talk, password):
    talk.hear()
    talk.say(f"a LOGIN {USER} {password}")
    answer = talk.hear()
    while answer and not answer.startswith("a "):
        answer = talk.hear()
    talk.say("b LOGOUT")
    talk.hear()
    return {"OK": "accepted", "NO": "refused"}.get(answer[2:4], answer or "closed")


def pop(talk, password):
    talk.hear()
    talk.say(f"USER {USER}")
    talk.hear()
    talk.say(f"PASS {password}")
    answer = talk.hear()
    talk.say("QUIT")
    talk.hear()
    return "accepted" if answer.startswith("+OK") else "refused" if answer.startswith("-ERR") else answer or "closed"


def main():
    server, source, service, times, password = sys.argv[1:]
    for _ in range(int(times)):
        try:
            connection = connect(server, source, service)
        except (TimeoutError, ConnectionRefusedError) as error:
            print("shut" if isinstance(error, TimeoutError) else "rejected", flush=True)
            continue
        except OSError as error:
            print(f"no connection: {error}", flush=True)
            continue
        try:
            print({"imap": imap, "pop": pop}.get(service, smtp)(Talk(connection), password), flush=True)
        except OSError as error:
            print(f"broken: {error}", flush=True)
        finally:
            connection.close()


main()
