import { expect, test } from "vitest";
import { formatConntrackEvents } from "../../src/view/conntrack-events.js";
import { rig, tcp } from "../netfilter/rig.js";

/** The lines were recorded from conntrack 1.4.7 -E on Linux 6.18, with other addresses. */
test("the events of a connection are told as conntrack -E prints them, in order", () => {
  const world = rig();
  const tuples =
    "src=10.1.0.2 dst=10.2.0.2 sport=4000 dport=21 src=10.2.0.2 dst=10.1.0.2 sport=21 dport=4000";
  const unreplied = tuples.replace("dport=21 ", "dport=21 [UNREPLIED] ");
  const [client, server] = ["10.1.0.2:4000", "10.2.0.2:21"];
  world.forward(tcp(client, server, "S", { seq: 1 }));
  world.forward(tcp(server, client, "SA", { seq: 1, ack: 2 }));
  world.forward(tcp(client, server, "A", { seq: 2, ack: 2 }));
  world.forward(tcp(client, server, "A", { seq: 2, ack: 2, length: 5 }));
  world.forward(tcp(server, client, "FA", { seq: 2, ack: 7 }));
  world.forward(tcp(client, server, "FA", { seq: 7, ack: 3 }));
  world.forward(tcp(server, client, "A", { seq: 3, ack: 8 }));
  expect(formatConntrackEvents(world.events).split("\n")).toEqual([
    "# router",
    `    [NEW] tcp      6 120 SYN_SENT ${unreplied}`,
    ` [UPDATE] tcp      6 60 SYN_RECV ${tuples}`,
    ` [UPDATE] tcp      6 432000 ESTABLISHED ${tuples} [ASSURED]`,
    ` [UPDATE] tcp      6 120 FIN_WAIT ${tuples} [ASSURED]`,
    ` [UPDATE] tcp      6 30 LAST_ACK ${tuples} [ASSURED]`,
    ` [UPDATE] tcp      6 120 TIME_WAIT ${tuples} [ASSURED]`,
    "",
  ]);
});

test("a reset before any answer ends an entry, and a mark that changes alone comes without the state", () => {
  const world = rig();
  const [client, server] = ["10.1.0.2:4000", "10.2.0.2:21"];
  world.forward(tcp(client, server, "S", { seq: 1 }));
  const [entry] = world.table.entries();
  if (entry !== undefined) entry.mark = 7;
  world.forward(tcp(client, server, "S", { seq: 1 }));
  world.forward(tcp(server, client, "RA", { seq: 0, ack: 2 }));
  const tuples =
    "src=10.1.0.2 dst=10.2.0.2 sport=4000 dport=21 [UNREPLIED] src=10.2.0.2 dst=10.1.0.2 sport=21 dport=4000";
  expect(formatConntrackEvents(world.events).split("\n")).toEqual([
    "# router",
    `    [NEW] tcp      6 120 SYN_SENT ${tuples}`,
    ` [UPDATE] tcp      6 120 ${tuples} mark=7`,
    `[DESTROY] tcp      6 120 CLOSE ${tuples} mark=7`,
    "",
  ]);
});
