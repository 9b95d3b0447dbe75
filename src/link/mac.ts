import type { Simulation } from "../core/simulation.js";
import type { Mac } from "../wire/ip.js";

/** The address of a device that was given none: `0a:00:00:` and the number of the device. Differs: Linux draws it at random. */
export function allocateMac(sim: Simulation): Mac {
  return (0x0a00_0000_0000 + sim.allocateMacNumber()) as Mac;
}
