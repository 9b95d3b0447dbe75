import type { SendResult } from "../../core/errno.js";
import { type NetworkNamespace, perNamespace } from "../../core/namespace.js";
import type { SkBuff } from "../../core/skbuff.js";

/** What IPv6 routes lead to. Filled in by `stack.ts`, because what they lead to routes packets itself. */
export class Route6Actions {
  localDeliver: (skb: SkBuff) => void = notSetUp;
  multicastInput: (skb: SkBuff) => void = notSetUp;
  forward: (skb: SkBuff) => void = notSetUp;
  error: (skb: SkBuff) => void = notSetUp;
  output: (skb: SkBuff) => SendResult = notSetUp;
  discardOut: (skb: SkBuff) => SendResult = notSetUp;
  /** OUTPUT, then out. */
  localOut: (skb: SkBuff) => SendResult = notSetUp;
}

function notSetUp(): never {
  throw new Error("IPv6 is not set up in this namespace");
}

export const route6Actions: (ns: NetworkNamespace) => Route6Actions = perNamespace(
  () => new Route6Actions(),
);
