import type { Sysctls } from "../../core/sysctls.js";
import type { LabCommand } from "../../tools/command.js";
import { createLinux } from "../../tools/stack.js";
import type { RecordedNode } from "./cables.js";
import type { RecordedSysctl } from "./node-record.js";
import type { RecordedNote } from "./recorded-lab.js";

/** What the kernel counts or fixes itself. */
const READ_ONLY: ReadonlySet<string> = new Set([
  "net.netfilter.nf_conntrack_count",
  "net.netfilter.nf_conntrack_buckets",
]);

/** How devices come to IPv6 addresses: those that were recorded are given by hand, and nobody is asked about them. */
const OURS =
  /^net\.ipv6\.conf\.[^.]+\.(accept_dad|addr_gen_mode|router_solicitations|stable_secret)$/;

/** Knobs of IPv6 that `all` sets on every device. */
const SPREADING = /\.(forwarding|disable_ipv6)$/;

/** Whether a device's knob of IPv6 is as every device begins. There are many, and what is for `all` does not reach them. */
function isAsBorn(known: Sysctls, { name, value }: RecordedSysctl): boolean {
  const device = deviceIn(name);
  if (!name.startsWith("net.ipv6.conf.") || device === undefined || SPREADING.test(name))
    return false;
  if (device === "all" || device === "default") return false;
  return known.find(name.replace(`.${device}.`, ".default."))?.get() === value;
}

/**
 * Sets the recorded knobs that hopwise has and that are not at their beginning; forwarding is assumed to be on where
 * nothing was recorded. Values that hopwise cannot take are told.
 */
export function sysctlCommands(
  { record, devices }: RecordedNode,
  notes: RecordedNote[],
): readonly LabCommand[] {
  const set = (name: string, value: string, place?: LabCommand["place"]): LabCommand => ({
    ns: record.name,
    argv: ["sysctl", "-w", `${name}=${value}`],
    place,
  });
  const { sysctls } = record;
  if (sysctls === undefined)
    return [
      set("net.ipv4.ip_forward", "1"),
      ...(devices.some(({ addresses6 }) => addresses6.length > 0)
        ? [set("net.ipv6.conf.all.forwarding", "1")]
        : []),
    ];
  const known = createLinux({ seed: 0 }).createNamespace("probe").sysctls;
  const names = new Set([
    ...devices.map(({ name }) => name.replaceAll(".", "/")),
    "all",
    "default",
  ]);
  return inOrder(sysctls)
    .filter(({ name }) => !READ_ONLY.has(name) && names.has(deviceIn(name) ?? "all"))
    .filter(({ name }) => !OURS.test(name))
    .filter((one) => !isAsBorn(known, one))
    .filter((one) => isSettable(known, one, notes))
    .map(({ name, value, place }) => set(name, value, place));
}

/** ip_forward sets every device's forwarding, so it comes first, then what is for all, then the devices. */
function inOrder(sysctls: readonly RecordedSysctl[]): readonly RecordedSysctl[] {
  const rank = (name: string): number => {
    if (name === "net.ipv4.ip_forward") return 0;
    const device = deviceIn(name);
    return device === undefined ? 1 : device === "all" ? 2 : device === "default" ? 3 : 4;
  };
  return sysctls.toSorted((a, b) => rank(a.name) - rank(b.name));
}

/** `eth0` of `net.ipv4.conf.eth0.rp_filter`. */
function deviceIn(name: string): string | undefined {
  return /^net\.ipv[46]\.(?:conf|neigh)\.([^.]+)\./.exec(name)?.[1];
}

function isSettable(
  known: Sysctls,
  { name, value, place }: RecordedSysctl,
  notes: RecordedNote[],
): boolean {
  const device = deviceIn(name);
  const knob = known.find(device === undefined ? name : name.replace(`.${device}.`, ".default."));
  if (knob === undefined || (knob.get() === value && device === undefined)) return false;
  const before = knob.get();
  try {
    knob.set(value);
    knob.set(before);
    return true;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    notes.push({ text: `${name} = ${value} is not modelled; it stays ${before}`, place });
    return false;
  }
}
