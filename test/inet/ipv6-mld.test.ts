import { expect, test } from "vitest";
import { devQueueXmit } from "../../src/core/device.js";
import { newSkb } from "../../src/core/simulation.js";
import type { TraceEvent } from "../../src/core/trace.js";
import { later, seconds } from "../../src/sim/time.js";
import { createLinux } from "../../src/tools/stack.js";
import { formatFrame } from "../../src/wire/format-frame.js";
import { decodeFrame } from "../../src/wire/frame.js";
import { hex, valueOf } from "../wire/support.js";
import { build } from "../tools/tool-fixtures.js";

// Compared with 6.18 in the labs v6-mld-version-1, v6-mld-forced and v6-group-queries.

/** A router's queries about all groups: fe80::ff:fe00:102 > ff02::1, 400 ms. */
const VERSION_1 =
  "33330000000102000000010286dd6000000000200001fe80000000000000000000fffe000102ff0200000000000000000000000000013a0005020000010082007e960190000000000000000000000000000000000000";
const VERSION_2 =
  "33330000000102000000010286dd6000000000240001fe80000000000000000000fffe000102ff0200000000000000000000000000013a0005020000010082007c150190000000000000000000000000000000000000027d0000";

interface Link {
  /** What the host says of groups in the next seconds after this query of the router, or this command. */
  readonly answers: (query: string, time: number) => readonly string[];
}

/** A host with 2001:db8::1 and what `more` does, and a router. */
function link(more = ""): Link {
  const sim = createLinux({ seed: 1 });
  build(
    sim,
    `ip netns add host
     ip netns add router
     host: sysctl -qw net.ipv6.conf.all.disable_ipv6=0
     host: sysctl -qw net.ipv6.conf.default.disable_ipv6=0
     host: ip link add eth0 address 02:00:00:00:01:01 type veth peer name eth0 address 02:00:00:00:01:02 netns router
     host: ip link set eth0 up
     router: ip link set eth0 up
     host: ip -6 addr add 2001:db8::1/64 dev eth0 nodad
     ${more}`,
  );
  sim.runUntilIdle(later(sim.queue.now, seconds(5)));
  const events: TraceEvent[] = [];
  sim.trace = (event) => events.push(event);
  const answers: Link["answers"] = (query, time) => {
    events.length = 0;
    const router = sim.namespaces.get("router");
    if (query.startsWith("host:")) build(sim, query);
    else if (router !== undefined)
      devQueueXmit(newSkb(router, valueOf(decodeFrame(hex(query))), "test"), router.device("eth0"));
    sim.runUntilIdle(later(sim.queue.now, seconds(time)));
    const said = events.flatMap((event) =>
      event.kind === "device" && event.ns === "host" && event.direction === "tx"
        ? [formatFrame(event.frame).replace(/^.*ICMP6, /, "")]
        : [],
    );
    return said.filter((line) => line.startsWith("multicast listener"));
  };
  return { answers };
}

test("a query of version 2 is answered with one report about all groups", () => {
  const { answers } = link();
  expect(answers(VERSION_2, 1)).toEqual([expect.stringMatching(/^multicast listener report v2/)]);
});

test("a query of version 1 is answered with a report to each group, and so is all that follows", () => {
  const { answers } = link();
  const reports = ["ff02::1:ff00:1", "ff02::1:ff00:101"].map(
    (group) => `multicast listener reportmax resp delay: 0 addr: ${group}, length 24`,
  );
  expect(answers(VERSION_1, 1).toSorted()).toEqual(reports);
  expect(answers(VERSION_2, 1).toSorted()).toEqual(reports);
  expect(answers("host: ip -6 addr del 2001:db8::1/64 dev eth0", 1)).toEqual([
    "multicast listener done max resp delay: 0 addr: ff02::1:ff00:1, length 24",
  ]);
});

test("after the time of older routers version 2 is spoken again", () => {
  const { answers } = link();
  answers(VERSION_1, 260 + 1);
  expect(answers(VERSION_2, 1)).toEqual([expect.stringMatching(/^multicast listener report v2/)]);
});

test("force_mld_version decides what is spoken and heard, that of all devices first", () => {
  const one = link("host: sysctl -qw net.ipv6.conf.eth0.force_mld_version=1");
  expect(one.answers(VERSION_2, 1)).toHaveLength(2);
  const two = link(
    "host: sysctl -qw net.ipv6.conf.eth0.force_mld_version=1\nhost: sysctl -qw net.ipv6.conf.all.force_mld_version=2",
  );
  expect(two.answers(VERSION_1, 1)).toEqual([]);
  expect(two.answers(VERSION_2, 1)).toHaveLength(1);
});
