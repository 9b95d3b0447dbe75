import type { Recording } from "../../core/recording.js";
import { type TraceRequest, traceRequest } from "../trace.js";
import type { World } from "../world.js";
import { chanceOf, PrescribedDecider } from "./decisions.js";

/** One way that chance may take a request. */
export interface Branch {
  /** 0..1; those of all branches add up to 1. */
  readonly chance: number;
  readonly recording: Recording;
}

export interface Branches {
  readonly branches: readonly Branch[];
  /** The chance of what was not looked at, because there are too many branches; 0 otherwise. */
  readonly rest: number;
}

/** Each branch sends the request anew. */
const MOST_BRANCHES = 500;

/**
 * Every way that a request can go where rules decide by chance, each with its probability, in the order of the rules; of a name
 * with several addresses that DNS shuffles each address, in their order. Ports of translated connections are drawn by the
 * seed's own chance.
 */
export function traceBranches(world: World, request: TraceRequest): Branches {
  const branches: Branch[] = [];
  const first = traceRequest(world, request);
  const choices = first.lookup?.choices ?? [];
  const addresses = choices.length > 1 ? choices : [undefined];
  let isWhole = true;
  for (const chosen of addresses) {
    let prescribed: readonly boolean[] | undefined = [];
    while (prescribed !== undefined && branches.length < MOST_BRANCHES) {
      const decider: PrescribedDecider = new PrescribedDecider(prescribed);
      const recording = traceRequest(world, { ...request, chosen, decider });
      branches.push({ chance: chanceOf(decider.made) / addresses.length, recording });
      prescribed = decider.next();
    }
    isWhole &&= prescribed === undefined;
  }
  const seen = branches.reduce((sum, { chance }) => sum + chance, 0);
  return { branches, rest: isWhole ? 0 : Math.max(0, 1 - seen) };
}
