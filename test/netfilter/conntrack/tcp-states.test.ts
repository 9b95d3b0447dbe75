import { describe, expect, test } from "vitest";
import {
  SEGMENTS,
  TCP_IGNORE,
  TCP_INVALID,
  TCP_STATES,
  nextTcpState,
} from "../../../src/netfilter/conntrack/tcp-states.js";

/** Copied from spec/linux-datapath.md 5.4, itself read from the kernel's tcp_conntracks. */
const SPEC = {
  original: `
| syn | SS | SS | IG | IG | IG | IG | IG | SS | SS | S2 |
| synack | IV | IV | SR | IV | IV | IV | IV | IV | IV | SR |
| fin | IV | IV | FW | FW | LA | LA | LA | TW | CL | IV |
| ack | ES | IV | ES | ES | CW | CW | TW | TW | CL | IV |
| rst | IV | CL | CL | CL | CL | CL | CL | CL | CL | CL |
| none | IV | IV | IV | IV | IV | IV | IV | IV | IV | IV |`,
  reply: `
| syn | IV | S2 | IV | IV | IV | IV | IV | SS | IV | S2 |
| synack | IV | SR | IG | IG | IG | IG | IG | IG | IG | SR |
| fin | IV | IV | FW | FW | LA | LA | LA | TW | CL | IV |
| ack | IV | IG | SR | ES | CW | CW | TW | TW | CL | IG |
| rst | IV | CL | CL | CL | CL | CL | CL | CL | CL | CL |
| none | IV | IV | IV | IV | IV | IV | IV | IV | IV | IV |`,
};

const SHORT: Readonly<Record<string, string>> = {
  NO: "NONE",
  SS: "SYN_SENT",
  SR: "SYN_RECV",
  ES: "ESTABLISHED",
  FW: "FIN_WAIT",
  CW: "CLOSE_WAIT",
  LA: "LAST_ACK",
  TW: "TIME_WAIT",
  CL: "CLOSE",
  S2: "SYN_SENT2",
  IV: "invalid",
  IG: "ignored",
};

function nameOf(state: number): string {
  if (state === TCP_INVALID) return "invalid";
  return state === TCP_IGNORE ? "ignored" : (TCP_STATES[state] ?? "?");
}

describe("the TCP state table", () => {
  const directions = [
    ["original", 0],
    ["reply", 1],
  ] as const;
  for (const [name, direction] of directions) {
    for (const line of SPEC[name].trim().split("\n")) {
      const [segment = "", ...cells] = line
        .split("|")
        .map((cell) => cell.trim())
        .filter((cell) => cell !== "");
      test(`a ${segment} segment in ${name} direction leads where the kernel's table says`, () => {
        const kind = SEGMENTS.find((known) => known === segment);
        expect(kind).toBeDefined();
        if (kind === undefined) return;
        expect(cells).toHaveLength(TCP_STATES.length);
        expect(TCP_STATES.map((_, state) => nameOf(nextTcpState(direction, kind, state)))).toEqual(
          cells.map((cell) => SHORT[cell]),
        );
      });
    }
  }
});
