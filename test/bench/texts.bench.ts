import { describe } from "vitest";
import { parseRestore } from "../../src/netfilter/iptables/restore.js";
import { formatSave } from "../../src/netfilter/iptables/save.js";
import { loadWorld } from "../../src/lab/world.js";
import { bigDump } from "./big-dump.js";
import { duration } from "./figures.js";

/** An iptables-save of a gateway: 100,000 rules, each with a comment and a few matches, in 1,000 chains. */
function manyLines(rules: number): string {
  const chains = Array.from({ length: 1_000 }, (_, n) => `:CLIENT-${n} - [0:0]`);
  const lines = Array.from({ length: rules }, (_, n) => {
    const address = `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;
    return `-A CLIENT-${n % 1_000} -s ${address}/32 -p tcp -m comment --comment "client ${n}" -m multiport --dports 80,443,${1024 + (n % 60_000)} -m conntrack --ctstate NEW -j ACCEPT`;
  });
  return `*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n${[...chains, ...lines].join("\n")}\nCOMMIT\n`;
}

describe("iptables-save of 100,000 lines", () => {
  const text = manyLines(100_000);
  duration("parse", () => void parseRestore(text, { file: "big.rules" }), {
    runs: 5,
    budget: 1_000,
  });
  duration("parse and print", () => void formatSave(parseRestore(text, { file: "big.rules" })), {
    runs: 5,
    budget: 2_000,
  });
});

describe("loading a dump as kubectl prints it, in JSON", () => {
  for (const nodes of [100, 1_000]) {
    const dump = bigDump({ nodes, podsPerNode: 30, services: nodes * 10, policies: nodes * 2 });
    const size = Math.round(dump.length / 1_000_000);
    const budget = nodes === 1_000 ? 15_000 : 1_500;
    duration(
      `${nodes.toLocaleString("en-US")} nodes, ${nodes * 30} pods, ${nodes * 10} Services, ${nodes * 2} policies: ${size} MB`,
      () => void loadWorld([{ file: "dump.json", text: dump }], "dump"),
      { runs: 2, warmup: 0, budget },
    );
  }
});
