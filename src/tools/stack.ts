import type { PernetOperations } from "../core/namespace.js";
import { Simulation } from "../core/simulation.js";
import { arp } from "../inet/arp.js";
import { inet } from "../inet/stack.js";
import { link, loopback } from "../link/link.js";
import { brNetfilter, type BrNetfilterProfile } from "../netfilter/br-netfilter.js";
import { conntrackPernet } from "../netfilter/conntrack/hooks.js";
import { labelNames } from "../netfilter/conntrack/labels.js";

/** What differs between Linux machines, told when a world is made. */
export interface LinuxProfile {
  readonly brNetfilter?: BrNetfilterProfile | undefined;
  /** The text of /etc/xtables/connlabel.conf; undefined where there is none. */
  readonly connlabelConf?: string | undefined;
}

export interface LinuxOptions extends LinuxProfile {
  readonly seed: number;
}

/** The subsystems of a Linux namespace in the order they are set up; `lo` comes last, when everybody listens. */
export const linuxStack: readonly PernetOperations[] = stackFor({});

/** A world of Linux namespaces, empty at first. */
export function createLinux(options: LinuxOptions): Simulation {
  return new Simulation({ seed: options.seed, pernet: stackFor(options) });
}

function stackFor(profile: LinuxProfile): readonly PernetOperations[] {
  return [
    link,
    inet,
    arp,
    conntrackPernet,
    labelNames(profile.connlabelConf),
    brNetfilter(profile.brNetfilter),
    loopback,
  ];
}
