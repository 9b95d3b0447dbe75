import { Choose } from "./choose.js";
import type { Draft } from "./draft.js";
import { makeProbes } from "./probes.js";
import { addRouting } from "./routing.js";
import { addRules } from "./rules.js";
import { makeNetwork } from "./topology.js";

/** Makes a lab: the same seed makes the same one. */
export function generate(seed: number): Draft {
  const choose = new Choose(seed);
  const network = makeNetwork(choose);
  addRouting(network);
  addRules(network);
  return {
    name: `fuzz-${seed}`,
    about: `made by npm run fuzz:kernel, seed ${seed}`,
    namespaces: network.namespaces,
    links: network.links,
    // One namespace after the other: easier to read, and quicker to run on the real kernel.
    commands: network.namespaces.flatMap((name) =>
      network.commands.filter(({ ns }) => ns === name),
    ),
    listen: network.listen,
    probes: makeProbes(network),
  };
}
