import { Choose, streamOf } from "./choose.js";
import type { Draft, DraftCommand } from "./draft.js";
import { addDevices } from "./devices.js";
import { overIpv6 } from "./family6.js";
import { makePackets } from "./packets.js";
import { makeProbes } from "./probes.js";
import { addRouting } from "./routing.js";
import { addModules } from "./modules.js";
import type { Network } from "./network.js";
import { addRules } from "./rules.js";
import { addSets } from "./sets.js";
import { makeNetwork } from "./topology.js";

/**
 * Makes a lab: the same seed makes the same one. Every third is about IPv6, every fifth has its rules in the legacy variant.
 * `devices`: each has MTUs of its own as well, or devices on top of others.
 */
export function generate(seed: number, devices: boolean): Draft {
  const six = seed % 3 === 0;
  const draft = overIpv4(seed, six, devices);
  const one = six ? overIpv6(draft) : draft;
  return seed % 5 === 0 ? { ...one, commands: one.commands.map(legacy) } : one;
}

function legacy(command: DraftCommand): DraftCommand {
  return { ...command, run: command.run.replace(/^(ip6?tables)-restore$/, "$1-legacy-restore") };
}

/** `six`: it will be about IPv6. */
function overIpv4(seed: number, six: boolean, devices: boolean): Draft {
  const choose = new Choose(seed);
  const network = makeNetwork(choose);
  addRouting(network);
  addRules(network);
  const probes = [...makeProbes(network)];
  inSome(network, seed, "sets", 0.25, () => addSets(network, six));
  inSome(network, seed, "modules", 0.22, () => addModules(network, six));
  inSome(network, seed, "packets", 0.18, () => probes.push(...makePackets(network, six)));
  if (devices) inSome(network, seed, "devices", 1, () => probes.push(...addDevices(network, six)));
  return {
    name: `fuzz-${seed}`,
    about: `made by npm run fuzz:kernel, seed ${seed}`,
    namespaces: network.namespaces,
    links: network.links,
    // One namespace after the other: easier to read, and quicker to run on the real kernel. Rules come last.
    commands: [false, true].flatMap((last) =>
      network.namespaces.flatMap((name) =>
        network.commands.filter(({ ns, rules }) => ns === name && (rules !== undefined) === last),
      ),
    ),
    listen: network.listen,
    probes,
  };
}

/** Adds something to the labs of a share of the seeds, drawn from a stream of its own. */
function inSome(
  network: Network,
  seed: number,
  word: string,
  share: number,
  add: () => unknown,
): void {
  network.choose = streamOf(seed, word);
  if (network.choose.chance(share)) add();
}
