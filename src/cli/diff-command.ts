import { UserError } from "../base/errors.js";
import { diffText } from "../kube/policy/matrix-diff.js";
import { diffWorlds, isSame } from "../lab/diff/diff-worlds.js";
import type { TraceRequest } from "../lab/trace.js";
import { loadWorld } from "../lab/world.js";
import { verdictName } from "../view/outcome.js";
import { viewOf } from "../view/trace-view.js";
import { formatWorldDiff, worldDiffJson } from "../view/world-diff.js";
import type { DiffOptions } from "./commands/diff.js";
import { readWorlds } from "./files.js";
import type { Streams } from "./streams.js";

/** `hopwise diff WORLD1 WORLD2 [SRC DST]`: which objects, rules and verdicts differ. Exit 0 for no difference, 1 for one. */
export function diffCommand(
  [first, second, source, destination]: readonly (string | undefined)[],
  options: DiffOptions,
  streams: Streams,
): number {
  const before = loadWorld(readWorlds([first ?? ""]), first ?? "");
  const after = loadWorld(readWorlds([second ?? ""]), second ?? "");
  if (source !== undefined && destination === undefined)
    throw new UserError("USAGE", `"${source}" is asked about without a destination`, {
      help: "hopwise diff WORLD1 WORLD2 SRC DST compares what becomes of one request",
    });
  const request: TraceRequest | undefined =
    source === undefined || destination === undefined
      ? undefined
      : {
          source,
          destination,
          protocol: options.proto,
          sourcePort: options.sport,
          ttl: undefined,
          seed: options.seed,
          endpoint: options.endpoint,
          oneWay: false,
        };
  const diff = diffWorlds(before, after, request);
  const { pairs, traces } = diff;
  const views =
    traces === undefined
      ? undefined
      : { before: viewOf(traces.before), after: viewOf(traces.after) };
  const shown = {
    ...diff,
    pairs:
      pairs === undefined
        ? undefined
        : { lines: diffText(pairs), changed: pairs.opened + pairs.closed + pairs.other },
    traces: views,
  };
  streams.out(
    options.json === true
      ? `${JSON.stringify(worldDiffJson(shown), undefined, 2)}\n`
      : formatWorldDiff(shown, { all: options.verbose ?? false }),
  );
  const sameVerdict =
    views === undefined || verdictName(views.before.verdict) === verdictName(views.after.verdict);
  if (views !== undefined && [views.before, views.after].some(({ verdict }) => verdict.exit === 3))
    return 3;
  return isSame(diff) && sameVerdict ? 0 : 1;
}
