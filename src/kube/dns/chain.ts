import type { DnsPluginEvent } from "../../core/trace.js";
import { questionOf } from "./messages.js";
import {
  unwritten,
  type DnsContext,
  type Handler,
  type Note,
  type Query,
  type Result,
  type Walk,
} from "./plugin.js";

/** Someone who hears what each plugin did; the time and the server are added by who owns it. */
export type ChainListener = (event: Omit<DnsPluginEvent, "time" | "ns" | "kind">) => void;

/**
 * Walks a query down the plugins of a block and the result back up. The only place that tells what plugins did.
 *
 *     prometheus → errors → loadbalance → cache → kubernetes → loop → forward
 *          ←          ←          ←          ←    (result)
 */
export function walkChain(
  handlers: readonly Handler[],
  query: Query,
  context: DnsContext,
  listener: ChainListener | undefined,
  then: (result: Result) => void,
): void {
  step(0, query, then);

  function step(index: number, current: Query, done: (result: Result) => void): void {
    const handler = handlers[index];
    if (handler?.serve === undefined) {
      const last = handlers[index - 1]?.name ?? "";
      done(unwritten("SERVFAIL", `plugin/${last}: no next plugin found`));
      return;
    }
    handler.serve(current, walkOf(index, current, handler, done), context);
  }

  function walkOf(
    index: number,
    current: Query,
    handler: Handler,
    done: (result: Result) => void,
  ): Walk {
    return {
      next(changed, note, after = done) {
        tell(handler, current, note);
        step(index + 1, changed, after);
      },
      respond(result, note) {
        if (note !== undefined) tell(handler, current, note);
        done(result);
      },
      last: index === handlers.length - 1,
      nextHandler: handlers[index + 1],
    };
  }

  function tell(handler: Handler, current: Query, note: Note): void {
    if (listener === undefined) return;
    const { name, type } = questionOf(current);
    listener({
      query: `${name} ${type}`,
      asked: query.asked,
      depth: query.depth,
      plugin: handler.name,
      action: note.action,
      why: note.why,
      place: handler.place,
    });
  }
}
