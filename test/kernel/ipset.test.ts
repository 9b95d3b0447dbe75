import { execFileSync, spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seededRandom } from "../../src/base/random.js";
import { runTool } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";
import { missingJudge } from "./judge.js";

const missing = missingJudge() ?? missingIpset();
const ns = `hw${process.pid}-ipset`;

function missingIpset(): string | undefined {
  const { status } = spawnSync("ipset", ["version"]);
  return status === 0 ? undefined : "ipset is not installed";
}

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function real(argv: readonly string[], stdin: string): Ran {
  const { status, stdout, stderr } = spawnSync("ip", ["netns", "exec", ns, "ipset", ...argv], {
    input: stdin,
    encoding: "utf8",
  });
  return { code: status, stdout, stderr };
}

/** A set of each type that the kernel has, with the seed of its hash given, and how its elements are written. */
const shapes: readonly (readonly [create: string, element: readonly string[]])[] = [
  ["hash:ip", ["IP"]],
  ["hash:ip netmask 28", ["IP"]],
  ["hash:ip family inet6", ["V6"]],
  ["hash:ip,port", ["IP", "PORT"]],
  ["hash:ip,port family inet6", ["V6", "PORT6"]],
  ["hash:ip,port,ip", ["IP", "PORT", "HOST"]],
  ["hash:ip,port,net", ["IP", "PORT", "NET"]],
  ["hash:net", ["NET"]],
  ["hash:net family inet6", ["NET6"]],
  ["hash:net,port", ["NET", "PORT"]],
  ["hash:net,iface", ["NET", "IFACE"]],
  ["bitmap:ip range 10.0.0.0/22", ["IP"]],
  ["bitmap:ip,mac range 10.0.0.0/24", ["HOST", "MAC"]],
  ["bitmap:port range 0-200", ["NUMBER"]],
];

const extensions = ["", "counters", "comment", "skbinfo", "counters comment skbinfo"];

/** The same commands for both, from a seed. */
class Script {
  readonly #random: () => number;
  #bucket: string;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    this.#bucket = "";
  }

  create(): {
    readonly create: string;
    readonly parts: readonly string[];
    readonly extension: string;
  } {
    const [type, parts] = this.#pick(shapes);
    const extension = this.#pick(extensions);
    const initval = `0x${Math.floor(this.#random() * 0xffff_ffff).toString(16)}`;
    const size = this.#pick([
      "hashsize 64",
      "hashsize 64 bucketsize 2",
      "hashsize 2048",
      "maxelem 20",
    ]);
    const hash = type.startsWith("hash") ? ` ${size} initval ${initval}` : "";
    this.#bucket = type;
    return { create: `${type}${hash} ${extension}`.trim(), parts, extension };
  }

  /** One command on set s. */
  command(parts: readonly string[], extension: string): readonly string[] {
    const element = parts.map((part) => this.#part(part)).join(",");
    const exist = this.#random() < 0.2 ? ["-exist"] : [];
    const kind = this.#random();
    if (kind < 0.15) return ["test", "s", element];
    if (kind < 0.4) return [...exist, "del", "s", element];
    return [...exist, "add", "s", element, ...this.#options(extension)];
  }

  #options(extension: string): readonly string[] {
    const words: string[] = [];
    if (this.#bucket.includes("net") && this.#random() < 0.2) words.push("nomatch");
    for (const name of extension.split(" ")) {
      if (this.#random() < 0.5) continue;
      if (name === "counters") words.push("packets", String(this.#number(0, 1_000)));
      if (name === "comment") words.push("comment", this.#pick(["a", "two words", ""]));
      if (name === "skbinfo") words.push("skbmark", this.#pick(["0x1", "0x10/0xf0", "0x0"]));
    }
    return words;
  }

  #part(kind: string): string {
    const low = (): number => this.#number(0, 60);
    switch (kind) {
      case "IP":
        return this.#pick([
          `10.0.0.${low()}`,
          `10.0.0.${low()}`,
          `10.0.${this.#number(0, 4)}.${low()}/${this.#number(27, 32)}`,
          `10.0.0.${low()}-10.0.0.${low()}`,
          "0.0.0.0",
          "10.0.0.300",
        ]);
      case "HOST":
        return this.#pick([`10.0.0.${low()}`, `10.0.0.${this.#number(0, 5)}`]);
      case "NET":
        return this.#pick([
          `10.0.0.${low()}`,
          `10.0.0.${low()}/${this.#number(24, 32)}`,
          `10.0.0.${low()}-10.0.0.${low()}`,
          `10.0.0.0/${this.#number(0, 8)}`,
        ]);
      case "V6":
        return this.#pick([`fd00::${low()}`, `fd00::${low()}`, "::1", "10.0.0.1"]);
      case "NET6":
        return this.#pick([`fd00::${low()}`, `fd00:${low()}::/${this.#number(0, 129)}`]);
      case "PORT":
        return this.#pick([
          "80",
          "tcp:80-83",
          "udp:53",
          "icmp:ping",
          "icmp:3/4",
          "gre:0",
          "sctp:9",
          "x",
        ]);
      case "PORT6":
        return this.#pick(["80", "tcp:80-83", "icmpv6:ping", "icmp:ping", "udp:1"]);
      case "NUMBER":
        return this.#pick([String(this.#number(0, 220)), "100-104", "http", "udp:7"]);
      case "IFACE":
        return this.#pick(["eth0", "eth1", "lo", "physdev:eth0", "e"]);
      default:
        return `02:00:00:00:00:0${this.#number(0, 3)}`;
    }
  }

  #number(low: number, high: number): number {
    return low + Math.floor(this.#random() * (high - low));
  }

  #pick<T>(from: readonly T[]): T {
    const chosen = from[this.#number(0, from.length)];
    if (chosen === undefined) throw new Error("nothing to choose from");
    return chosen;
  }
}

describe.runIf(missing === undefined)("ipset and the real one, given the same commands", () => {
  beforeAll(() => void execFileSync("ip", ["netns", "add", ns]));
  afterAll(() => void execFileSync("ip", ["netns", "del", ns]));

  const seeds = Number(process.env["HOPWISE_IPSET_SEEDS"] ?? 8);
  for (let seed = 1; seed <= seeds; seed++) {
    it(`say the same and hold the same, in the same order and size (seed ${seed})`, () => {
      const script = new Script(seed);
      const { create, parts, extension } = script.create();
      const sim = createLinux({ seed });
      sim.createNamespace("n");
      const compare = (argv: readonly string[], stdin = ""): void => {
        const { code, stdout, stderr } = runTool(sim, { ns: "n", argv: ["ipset", ...argv], stdin });
        const said: Ran = { code, stdout, stderr };
        expect({ argv, ...said }).toEqual({ argv, ...real(argv, stdin) });
      };
      real(["destroy"], "");
      compare(["create", "s", ...create.split(" ")]);
      for (let step = 0; step < 40; step++) compare(script.command(parts, extension));
      compare(["list"]);
      compare(["save"]);
      // Many elements at once make the table grow.
      const many = Array.from({ length: 150 }, () => script.command(parts, ""));
      const plain = many.filter((words) => words.includes("add") && !words.includes("-exist"));
      compare(["restore", "-exist"], `${plain.map((words) => words.join(" ")).join("\n")}\n`);
      compare(["list", "s"]);
      compare(["save", "s", "-o", "xml"]);
    });
  }
});
