import { UserError } from "../base/errors.js";
import { type NetworkNamespace, perNamespace } from "../core/namespace.js";
import type { Simulation } from "../core/simulation.js";
import { familyOf } from "../inet/families.js";
import { listenTcp, type TcpConnection } from "../inet/tcp-socket.js";
import { UdpSocket } from "../inet/udp-socket.js";
import { type Micros, later, microseconds, seconds } from "../sim/time.js";
import type { LabCommand } from "../tools/command.js";
import type { ToolResult } from "../tools/command.js";
import { runTool } from "../tools/index.js";
import { formatIp } from "../wire/ip.js";
import { createLinux } from "../tools/stack.js";
import { type Lab, type Listener, usesIpv6 } from "./lab.js";

/** Builds a lab: namespaces, then its commands in order, then its programs. Throws a UserError for a command that fails. */
export function buildLab(lab: Lab, seed: number): Simulation {
  const sim = createLinux({ seed });
  const ipv6 = usesIpv6(lab);
  for (const ns of lab.namespaces) {
    // A namespace is called as people call it (shop/web-0); a script for a real Linux writes the slash as a dot.
    sim.createNamespace(ns);
    if (ipv6) enableIpv6(sim, ns);
    runLabCommand(sim, { ns, argv: ["ip", "link", "set", "lo", "up"] });
  }
  for (const command of lab.commands) runLabCommand(sim, command);
  for (const listener of lab.listeners) startListener(sim, listener);
  return sim;
}

/** Switches IPv6 on in a namespace of the emulator. */
export function enableIpv6(sim: Simulation, ns: string): void {
  runLabCommand(sim, { ns, argv: ["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0"] });
}

/** Runs one command of a lab. Throws a UserError, with the tool's own words, when it fails. */
export function runLabCommand(sim: Simulation, command: LabCommand): void {
  const result = runPlaced(sim, command);
  if (result.code === 0) return;
  const where = command.ns === undefined ? "" : ` in ${command.ns}`;
  throw new UserError(
    "LAB_COMMAND",
    `"${command.argv.join(" ")}"${where} failed: ${result.stderr.trim() || `exit code ${result.code}`}`,
    {
      place: command.place,
    },
  );
}

/** A program knows no place for what it refuses to model: that of the command stands in. */
function runPlaced(sim: Simulation, command: LabCommand): ToolResult {
  try {
    return runTool(sim, command);
  } catch (error) {
    if (!(error instanceof UserError) || error.details.place !== undefined) throw error;
    throw new UserError(error.code, error.message, { ...error.details, place: command.place });
  }
}

/** A program that runs in a namespace, and can be ended as its container is. */
export interface Program {
  /** Closes its sockets, as the kernel does for a process that ends. */
  stop(): void;
}

/** What runs in a namespace. */
export const programs: (ns: NetworkNamespace) => Set<Program> = perNamespace(() => new Set());

/** How long a program takes to answer. */
const programDelay = microseconds(1);

/** A program that takes every connection and sends back what it gets; it answers a datagram after `delay`. */
export function startListener(
  sim: Simulation,
  {
    ns: name,
    protocol,
    port,
    address,
    groups,
    backlog,
    transparent,
    reusePort,
    keepAlive,
    place,
  }: Listener,
  delay: () => Micros = () => programDelay,
): void {
  const ns = sim.namespaces.get(name);
  if (ns === undefined)
    throw new UserError("LAB_NAMESPACE", `no namespace "${name}" to listen in`, { place });
  if (protocol === "tcp") {
    const accepted = new Set<TcpConnection>();
    const accept = (connection: TcpConnection): void => {
      // A program runs when the kernel is done with the packet that woke it.
      const soon = (what: string, act: () => void): void =>
        void sim.queue.after(programDelay, `${name} tcp/${port} ${what}`, act);
      accepted.add(connection);
      connection.onData = (data) => soon("answers", () => connection.send(data));
      connection.onClose = () => soon("closes", () => connection.close());
    };
    const listening = listenTcp(
      ns,
      { address, port, backlog, keepAlive, owner: { transparent, reusePort } },
      backlog === undefined ? accept : undefined,
    );
    if (typeof listening === "string")
      throw new UserError("LAB_LISTEN", `cannot listen on tcp/${port} in ${name}: ${listening}`, {
        place,
      });
    programs(ns).add({
      stop() {
        listening.close();
        for (const connection of accepted) connection.close();
      },
    });
    return;
  }
  const socket = new UdpSocket(ns, { transparent, reusePort }, familyOf(address));
  const failed = socket.bind(address, port);
  if (failed !== undefined)
    throw new UserError("LAB_LISTEN", `cannot listen on udp/${port} in ${name}: ${failed}`, {
      place,
    });
  for (const { group, device } of groups ?? []) {
    const refused = socket.join(group, device);
    if (refused !== undefined)
      throw new UserError(
        "LAB_LISTEN",
        `cannot join ${formatIp(group)} on ${device} in ${name}: ${refused}`,
        { place },
      );
  }
  programs(ns).add({ stop: () => socket.close() });
  socket.onDatagram = (datagram) => {
    sim.queue.after(delay(), `${name} udp/${port} answers`, () =>
      socket.sendTo(datagram.data, datagram.source, datagram.sourcePort, datagram.skb),
    );
  };
}

/** Hosts know their IPv6 addresses for sure, and have told their links of their groups, after some seconds. */
export function settleIpv6(sim: Simulation): void {
  sim.runUntilIdle(later(sim.queue.now, seconds(30)));
}
