import { expect, it } from "vitest";
import { loadWorld } from "../../../src/lab/world.js";
import { randomClusterText } from "../../kube/random-cluster.js";
import { play } from "./worlds.js";

/** Every pod loses readiness, gets it back and goes, in clusters with every kind of Service, policies and two families. */
it.each([1, 2, 4])(
  "pods of random cluster %i come and go, and no agent's command fails",
  (seed) => {
    const text = randomClusterText(seed, {
      sctp: false,
      policies: true,
      dualStack: seed % 2 === 0,
    });
    const world = loadWorld([{ file: "random.json", text }], "random");
    if (world.kind !== "cluster") throw new Error("a cluster was expected");
    const pods = world.cluster.pods.filter(
      ({ namespace, node, unmodelled }) =>
        namespace !== "kube-system" && node !== undefined && unmodelled === undefined,
    );
    const steps = pods.flatMap(({ key }) => [
      `  - ready: {${key}: false}`,
      `  - ready: {${key}: true}`,
      `  - delete: {object: pod ${key}, grace: 0s}`,
    ]);
    const { recording } = play(world, steps.join("\n"));
    const commands = recording.steps.flatMap(({ events }) =>
      events.flatMap((event) => (event.kind === "command" ? [event] : [])),
    );
    expect(commands.filter(({ code }) => code !== 0)).toEqual([]);
    expect(commands.some(({ argv }) => argv.join(" ").includes("ip link del eth0"))).toBe(true);
  },
);
