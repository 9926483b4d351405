"""What a command says of itself, as somebody would forge it: by hand on the agent's local socket.

    ran_client.py SOCKET WHAT PREFIX [prove=FOLDER | prove-nothing]

WHAT is "active" (it is active in my shell), "repair" (I change it from now on) or "over" (not any
more). With a word for the proof the request says that it can prove, and this is what it shows.
Prints what came: "end", "decision", "closed" or "error CODE".
"""

import sys

from report_client import Agent, field, fields

PREFIX_KIND = 2
CHECK, REPAIR, DECISION, ERROR, END, DESCRIPTOR_WANTED = 2, 80, 32, 39, 40, 50


def claim(agent, what, prefix, proof):
    target = field(1, prefix) + field(2, PREFIX_KIND)
    if what == "active":
        agent.send(CHECK, field(1, target) + field(20, 1) + field(21, 1)
                   + (field(80, 1) if proof else b""))
    else:
        agent.send(REPAIR, field(1, target) + (field(2, 1) if what == "over" else b""))
    answer = agent.receive()
    if DESCRIPTOR_WANTED in answer:
        agent.prove(prefix, proof.partition("=")[2] or "none")
        answer = agent.receive()
    if ERROR in answer:
        code = dict(fields(answer[ERROR]))[1]
        return f"error {code >> 1 ^ -(code & 1)}"
    return "end" if END in answer else "decision" if DECISION in answer else sorted(answer)


def main():
    path, what, prefix = sys.argv[1:4]
    try:
        agent = Agent(path)
        agent.id = 1
        print(claim(agent, what, prefix, sys.argv[4] if len(sys.argv) > 4 else ""))
    except (EOFError, ConnectionError):
        print("closed")


if __name__ == "__main__":
    main()
