import type { Recording } from "../core/recording.js";
import { type Conversation, followRequest } from "./follow.js";
import { type Verdict, verdictOf } from "./outcome.js";
import { type Step, stepsOf } from "./steps.js";

/** A recording read once: every output is made of this. */
export interface TraceView {
  readonly recording: Recording;
  readonly conversation: Conversation;
  readonly steps: readonly Step[];
  readonly verdict: Verdict;
}

export function viewOf(recording: Recording): TraceView {
  const conversation = followRequest(recording);
  return {
    recording,
    conversation,
    steps: stepsOf(recording, conversation),
    verdict: verdictOf(recording, conversation),
  };
}
