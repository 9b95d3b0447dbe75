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
 * Every way that a request can go where rules decide by chance, each with its probability, in the order of the rules. What a
 * name means is looked up with the seed's own chance, and so are ports of translated connections.
 */
export function traceBranches(world: World, request: TraceRequest): Branches {
  const branches: Branch[] = [];
  let prescribed: readonly boolean[] | undefined = [];
  while (prescribed !== undefined && branches.length < MOST_BRANCHES) {
    const decider: PrescribedDecider = new PrescribedDecider(prescribed);
    const recording = traceRequest(world, { ...request, decider });
    branches.push({ chance: chanceOf(decider.made), recording });
    prescribed = decider.next();
  }
  const seen = branches.reduce((sum, { chance }) => sum + chance, 0);
  return { branches, rest: prescribed === undefined ? 0 : Math.max(0, 1 - seen) };
}
