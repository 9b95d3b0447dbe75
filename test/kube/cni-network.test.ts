import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import type { Simulation } from "../../src/core/simulation.js";
import { CniHost } from "../../src/kube/cni/host.js";
import { runPlugin } from "../../src/kube/cni/run.js";
import { later, seconds } from "../../src/sim/time.js";
import { prepare } from "./cni-fixtures.js";
import { runTool } from "../../src/tools/index.js";
import { createLinux } from "../../src/tools/stack.js";

interface Look {
  readonly addr?: readonly string[];
  readonly route?: readonly string[];
  readonly route6?: readonly string[];
  /** `ip rule`, then the routes of all tables. */
  readonly rule?: readonly string[];
}

interface Step {
  readonly plugin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: unknown;
  readonly output?: unknown;
  readonly look?: string;
  readonly host?: Look;
  readonly c1?: Look;
  readonly c2?: Look;
  readonly iptables?: readonly string[];
  readonly ip6tables?: readonly string[];
  readonly run?: unknown;
}

interface Case {
  readonly id: string;
  readonly steps: readonly Step[];
}

const cases = ["cni.json", "cni-portmap6.json"].flatMap((file) => {
  const { cases: read } = JSON.parse(
    readFileSync(new URL(`../golden/${file}`, import.meta.url), "utf8"),
  ) as { cases: readonly Case[] };
  return read;
});

/** Left for later: what the commands of these need. */
const left: ReadonlyMap<string, string> = new Map([["vrf", "device vrf"]]);

/** Cases of the modelled plugins that look at the network. */
const looked = cases.filter(
  ({ id, steps }) =>
    /^(bridge|portmap|firewall|static|ptp|tuning|sbr|macvlan|ipvlan|vlan|host-device|vrf)/.test(
      id,
    ) &&
    !left.has(id) &&
    steps.some(({ look }) => look === "network"),
);

function shell(sim: Simulation, ns: string, line: string): readonly string[] {
  const result = runTool(sim, { ns, argv: line.split(" ") });
  expect(result.stderr, `${ns}: ${line}`).toBe("");
  return result.stdout.split("\n").flatMap((text) => (text.trim() === "" ? [] : [text.trim()]));
}

/** Device and addresses; names of veths, states and link-local addresses apart, which the recording warns of. */
function addresses(lines: readonly string[], ipv6: boolean): readonly string[] {
  const isShown = (text: string): boolean =>
    /^\d+\./.test(text) || (ipv6 && text.includes(":") && !text.startsWith("fe80:"));
  return lines.map((line) => {
    const [name = "", , ...all] = line.split(/\s+/);
    const device = name.replace(/@.*$/, "");
    const shownName = /^(<veth\d+>|veth[0-9a-f]{8})$/.test(device) ? "veth" : device;
    return [shownName, ...all.filter(isShown)].join(" ");
  });
}

/** Whether a carrier was seen lags in the recording: one bridge without ports is `linkdown`, another is not. */
function withoutCarrier(route: string): string {
  return route.replace(/ linkdown$/, "").replace(/ dev (<veth\d+>|veth[0-9a-f]{8})/, " dev veth");
}

/** The recording leaves out what every device has. */
function isGlobal(route: string): boolean {
  return !route.startsWith("fe80::");
}

/** Rules and the IPv4 routes of the tables that plugins make. */
function policyRouting(sim: Simulation, ns: string, table: string | undefined): readonly string[] {
  const lines = shell(sim, ns, "ip rule");
  if (table === undefined) return lines;
  const routes = shell(sim, ns, `ip route show table ${table}`);
  return [...lines, ...routes.map((line) => line.replace(/( dev \S+)/, `$1 table ${table}`))];
}

/** Rules by chain, in the order of each chain; chains that exist and are empty too. */
function rules(lines: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {};
  let table = "";
  for (const line of lines) {
    if (line.startsWith("*")) table = line.slice(1);
    const [, chain = ""] = /^(?::|-A )(\S+)/.exec(line) ?? [];
    if (line.startsWith(":") && !/^:\S+ (ACCEPT|DROP) /.test(line))
      found[`${table} ${chain}`] ??= [];
    if (line.startsWith("-A ")) (found[`${table} ${chain}`] ??= []).push(line);
  }
  return found;
}

function play(steps: readonly Step[]): void {
  const host = new CniHost("host");
  const sim = createLinux({ seed: 1 });
  for (const ns of ["host", "c1", "c2"])
    runTool(sim, { ns: undefined, argv: ["ip", "netns", "add", ns] });
  const aboutIpv6 = steps.some(
    ({ host: node, ip6tables }) => node?.route6 !== undefined || ip6tables !== undefined,
  );
  if (aboutIpv6)
    for (const ns of ["host", "c1", "c2"])
      shell(sim, ns, "sysctl -qw net.ipv6.conf.all.disable_ipv6=0");
  shell(sim, "host", "ip link set lo up");
  for (const ns of ["c1", "c2"]) host.addSandbox(`/run/netns/${ns}`, ns);
  let previous: unknown;
  let done = 0;
  for (const step of steps) {
    if (step.plugin !== undefined) {
      const config = typeof step.config === "object" && step.config !== null ? step.config : {};
      const stdin = JSON.stringify(
        "prevResult" in config ? { ...config, prevResult: previous } : config,
      );
      const { exit, stdout } = runPlugin(host, step.plugin, { env: step.env ?? {}, stdin });
      if (exit === 0 && stdout !== "") previous = JSON.parse(stdout);
      for (const command of host.commands.slice(done)) {
        const result = runTool(sim, command);
        expect(
          `${result.code} ${result.stderr}`,
          `${command.ns}: ${command.argv.join(" ")} ${command.stdin ?? ""}`,
        ).toBe("0 ");
      }
      done = host.commands.length;
    } else if (typeof step.run === "string") {
      prepare(host, step.run);
      shell(sim, "host", step.run);
    } else if (step.look === "network") {
      for (const ns of ["host", "c1", "c2"] as const) {
        const look = step[ns];
        if (look?.addr !== undefined)
          expect(addresses(shell(sim, ns, "ip -br addr"), aboutIpv6), ns).toEqual(
            addresses(look.addr, aboutIpv6),
          );
        if (look?.rule !== undefined) {
          const told = look.rule
            .map((line) => line.replaceAll("\t", " "))
            .filter(
              (line) => /^\d+: /.test(line) || (/ table \d/.test(line) && !line.includes("::")),
            );
          const table = told.map((line) => / table (\d+)/.exec(line)?.[1]).find(Boolean);
          const ours = policyRouting(sim, ns, table).map((line) => line.replaceAll("\t", " "));
          expect(ours, ns).toEqual(told);
        }
        if (look?.route !== undefined)
          expect(shell(sim, ns, "ip route").map(withoutCarrier), ns).toEqual(
            look.route.map(withoutCarrier),
          );
      }
      for (const ns of ["host", "c1", "c2"] as const)
        if (step[ns]?.route6 !== undefined) {
          sim.runUntilIdle(later(sim.queue.now, seconds(3)));
          expect(shell(sim, ns, "ip -6 route").map(withoutCarrier).filter(isGlobal), ns).toEqual(
            step[ns].route6.map(withoutCarrier).filter(isGlobal),
          );
        }
      if (step.iptables !== undefined)
        expect(rules(shell(sim, "host", "iptables-save"))).toEqual(rules(step.iptables));
      if (step.ip6tables !== undefined)
        expect(rules(shell(sim, "host", "ip6tables-save"))).toEqual(rules(step.ip6tables));
    }
  }
}

describe("the commands of the plugins make the network that the real plugins made", () => {
  let passed = 0;
  for (const { id, steps } of looked) {
    test(id, () => {
      play(steps);
      passed++;
    });
  }

  afterAll(() => {
    const names = [...left].map(([id, why]) => `${id} (${why})`).join(", ");
    process.stdout.write(
      `cni.json, cni-portmap6.json: the network equals the recording in ${passed} of ${looked.length} cases, left for later: ${names}\n`,
    );
  });
});
