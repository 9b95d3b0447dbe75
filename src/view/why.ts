import { unreachable } from "../base/errors.js";
import type { ConntrackEvent } from "../core/trace.js";
import type { Step } from "./steps.js";

/** One sentence for a learner about a step: what happened and what it means. */
export function reasonOf(step: Step): string {
  const { event } = step;
  switch (event.kind) {
    case "born":
      return "The packet is made here.";
    case "device":
      return "The frame leaves this device; a veth pair is a cable, so it appears at the other end.";
    case "bridge":
      return event.action === "flood"
        ? "The bridge does not know the destination's port yet and sends the frame out of every port."
        : event.action === "learn"
          ? "The bridge remembers by which port the sender is reached."
          : event.action === "local"
            ? "The frame is for the bridge itself: the host takes it."
            : event.action === "refuse"
              ? "The bridge may not send the frame out of that port."
              : "The bridge knows the destination's port and sends the frame only there.";
    case "rule":
      return ruleReason(step);
    case "policy":
      return event.policy === "DROP"
        ? "No rule of the chain decided, and its policy drops what is left."
        : "No rule of the chain objected, so its policy lets the packet pass.";
    case "unknown":
      return "The packet meets something that hopwise does not model; what follows is not certain.";
    case "log":
      return event.by === "LOG"
        ? "The rule writes this line to the kernel's log; the packet goes on."
        : "The rule hands a record to a program that listens, if one does; the packet goes on.";
    case "rewrite":
      return step.step.startsWith("conntrack")
        ? "The connection was translated when it began; conntrack applies the same translation to this packet."
        : "The packet is changed here.";
    case "conntrack":
      return conntrackReason(event.action);
    case "route":
      return event.result === "error"
        ? "No usable route leads to the destination."
        : event.result === "local"
          ? "The destination is an address of this host, so the packet goes up to its sockets."
          : event.via === undefined
            ? "The destination is on a network this host is attached to."
            : "The longest matching route sends the packet to a next hop.";
    case "neighbour":
      return event.mac === undefined
        ? "The next hop's MAC address is not known yet; ARP asks for it."
        : "The next hop's MAC address is known, so the frame can be addressed.";
    case "delivered":
      return "The packet reached the program it was for.";
    case "dropped":
      return "The packet ends here.";
    default:
      return unreachable(event);
  }
}

function ruleReason(step: Step): string {
  const { event } = step;
  if (event.kind !== "rule") return "";
  if (!event.matched)
    return "The rule does not apply to this packet, so the next one is looked at.";
  if (/^DNAT|^REDIRECT/.test(event.outcome ?? "")) {
    return "The destination is replaced here; the reply is changed back by the conntrack entry made now.";
  }
  if (/^(SNAT|MASQUERADE)/.test(event.outcome ?? "")) {
    return "The source is replaced here, so that the answer comes back through this host.";
  }
  switch (event.effect) {
    case "jump":
    case "goto":
      return "The rule matches and sends the packet through another chain.";
    case "return":
      return "The rule matches and ends this chain; the caller goes on after its jump.";
    case "accept":
      return "The rule matches and lets the packet pass this table.";
    case "drop":
    case "stolen":
      return "The rule matches and ends the packet here.";
    case "continue":
      return "The rule matches, does its work, and the next rule is looked at.";
    default:
      return unreachable(event.effect);
  }
}

function conntrackReason(action: ConntrackEvent["action"]): string {
  switch (action) {
    case "new":
      return "No connection is known for this packet, so a new entry is begun.";
    case "found":
      return "The packet belongs to a connection that is known.";
    case "confirmed":
      return "The packet passed every rule, so its new entry is now in the table.";
    case "invalid":
      return "The packet fits no connection and cannot begin one: rules see it as INVALID.";
    case "untracked":
      return "A rule asked not to track this packet.";
    case "destroyed":
      return "The connection's entry is removed.";
    case "helper":
      return "A helper reads what the connection says, and waits for the one that it announces.";
    case "told":
      return "Who listens to conntrack's events hears of it.";
    case "nat":
      return "The connection's translation is fixed here for all its packets.";
    default:
      return unreachable(action);
  }
}
