import type { PernetOperations } from "../core/namespace.js";
import { Simulation } from "../core/simulation.js";
import { arp } from "../inet/arp.js";
import { inet } from "../inet/stack.js";
import { link, loopback } from "../link/link.js";
import { conntrackPernet } from "../netfilter/conntrack/hooks.js";

/** The subsystems of a Linux namespace in the order they are set up; `lo` comes last, when everybody listens. */
export const linuxStack: readonly PernetOperations[] = [link, inet, arp, conntrackPernet, loopback];

/** A world of Linux namespaces, empty at first. */
export function createLinux(options: { readonly seed: number }): Simulation {
  return new Simulation({ seed: options.seed, pernet: linuxStack });
}
