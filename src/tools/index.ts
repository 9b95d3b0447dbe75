import { UserError } from "../base/errors.js";
import { nearest } from "../base/nearest.js";
import type { Simulation } from "../core/simulation.js";
import { bridge } from "./bridge.js";
import type { LabCommand, Tool, ToolResult } from "./command.js";
import { cat } from "./cat.js";
import { conntrackTool } from "./conntrack.js";
import { ip } from "./ip.js";
import { ipset } from "./ipset.js";
import { iptablesTools } from "./iptables.js";
import { nfct } from "./nfct.js";
import { sysctl } from "./sysctl.js";
import { tc } from "./tc.js";

/** Every program that can be typed. */
export const tools: readonly Tool[] = [
  ip,
  bridge,
  sysctl,
  ...iptablesTools,
  conntrackTool,
  cat,
  nfct,
  ipset,
  tc,
];

/** Runs one command of a lab. `ip netns exec NS …` runs the rest in that namespace; a program that is not here ends as in a shell. */
export function runTool(sim: Simulation, command: LabCommand): ToolResult {
  const [name = "", ...args] = command.argv;
  if (command.ns !== undefined && !sim.namespaces.has(command.ns)) {
    const near = nearest(command.ns, sim.namespaces.keys());
    throw new UserError("TOOL_NO_NAMESPACE", `there is no namespace ${command.ns}`, {
      place: command.place,
      help: near === undefined ? undefined : `did you mean ${near}?`,
    });
  }
  if (name === "ip" && args[0] === "netns" && args[1] === "exec")
    return execIn(sim, command, args.slice(2));
  const tool = tools.find((candidate) => candidate.name === name);
  if (tool === undefined) return { code: 127, stdout: "", stderr: `sh: 1: ${name}: not found\n` };
  return tool.run(args, {
    sim,
    ns: command.ns,
    stdin: command.stdin ?? "",
    stdinName: command.stdinName,
  });
}

/** `ip netns exec`: the same command elsewhere. */
function execIn(
  sim: Simulation,
  command: LabCommand,
  [ns, ...argv]: readonly string[],
): ToolResult {
  if (ns === undefined) return { code: 255, stdout: "", stderr: "No netns name specified\n" };
  if (argv.length === 0) return { code: 255, stdout: "", stderr: "No command specified\n" };
  if (!sim.namespaces.has(ns)) {
    return {
      code: 255,
      stdout: "",
      stderr: `Cannot open network namespace "${ns}": No such file or directory\n`,
    };
  }
  return runTool(sim, { ...command, ns, argv });
}
