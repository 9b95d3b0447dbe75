import type { DnsMessage, DnsRecord } from "../../../wire/dns-message.js";
import { mapRecords, questionOf, replyTo } from "../messages.js";
import { isDomainName } from "../names.js";
import {
  definePlugin,
  isUnwritten,
  unknownResult,
  unwritten,
  type DnsContext,
  type Handler,
  type Plugin,
  type Query,
  type Result,
  type Walk,
} from "../plugin.js";
import { parseRule, type ResponseRule, type RewriteRule } from "../rewrite-rules.js";

/** `rewrite [continue|stop] FIELD …`: changes the query on the way down and the reply on the way up. */
export const rewrite: Plugin = definePlugin({
  name: "rewrite",
  setup(c) {
    const rules: RewriteRule[] = [];
    let place = c.place();
    while (c.next()) {
      if (rules.length === 0) place = c.place();
      const args = c.remainingArgs();
      if (args.length < 2) {
        while (c.nextBlock()) args.push(c.val(), ...c.remainingArgs());
      }
      rules.push(parseRule(c, args));
    }
    return handler(place, rules);
  },
});

function handler(place: Handler["place"], rules: readonly RewriteRule[]): Handler {
  return {
    name: "rewrite",
    place,
    serve(query, walk, context) {
      let current = query;
      let stopped = false;
      const responses: ResponseRule[] = [];
      const matched: string[] = [];
      for (const rule of rules) {
        const done = rule.apply(current);
        if (done === undefined) continue;
        const { name } = questionOf(done.query);
        if (!isDomainName(name)) {
          const error = `invalid name after rewrite: ${name}`;
          return walk.respond(unwritten("SERVFAIL", error), { action: "failed", why: error });
        }
        current = done.query;
        if (done.ignored === true) continue;
        responses.push(...done.responses);
        matched.push(rule.text);
        stopped = rule.stop;
        if (stopped) break;
      }
      const note = {
        action: matched.length === 0 ? "passed" : "changed",
        why: told(query, current, matched),
      };
      const request = { ...current.message, questions: query.message.questions };
      if (!stopped && responses.length === 0) {
        return walk.next(current, note, (result) =>
          walk.respond(
            current === query ? result : { ...result, request: result.request ?? request },
          ),
        );
      }
      walk.next(current, note, (result) =>
        revert(query, current, responses, walk, context, {
          ...result,
          request: result.request ?? request,
        }),
      );
    },
  };
}

function told(query: Query, current: Query, matched: readonly string[]): string {
  if (matched.length === 0) return "no rule matches";
  const before = questionOf(query);
  const after = questionOf(current);
  const same =
    before.name === after.name && before.type === after.type && before.class === after.class;
  const change = same
    ? "the question stays"
    : `${before.name} ${before.type} became ${after.name} ${after.type}`;
  return `${change}, by: ${matched.join("; ")}`;
}

/** Turns the reply back: the client's question, and what the rules say about its records. */
function revert(
  query: Query,
  current: Query,
  responses: readonly ResponseRule[],
  walk: Walk,
  context: DnsContext,
  result: Result,
): void {
  if (result.unknown !== undefined) return walk.respond(result);
  const unsent = isUnwritten(result.rcode) && result.replies.length === 0;
  const [first] = unsent ? [replyTo(current.message, { rcode: result.rcode })] : result.replies;
  if (first === undefined) return walk.respond(result);
  const cnames = responses.filter((rule) => rule.kind === "cname").toReversed();
  pointElsewhere(
    current,
    cnames.map((rule) => rule.target),
    context,
    first,
    (reply) => {
      if (typeof reply === "string") return walk.respond(unknownResult(reply));
      const changed = applyRules(
        { ...reply, questions: query.message.questions.slice(0, 1) },
        responses,
      );
      const note =
        responses.length === 0
          ? undefined
          : { action: "changed", why: `${responses.length} rules for the reply` };
      walk.respond(
        { ...result, rcode: unsent ? "NOERROR" : result.rcode, replies: [changed] },
        note,
      );
    },
  );
}

/** The rules run last collected first, on the records of authority, answer and additional. */
function applyRules(reply: DnsMessage, responses: readonly ResponseRule[]): DnsMessage {
  const reversed = responses.toReversed();
  const record = (item: DnsRecord): DnsRecord =>
    reversed.reduce(
      (current, rule) => (rule.kind === "record" ? rule.apply(current) : current),
      item,
    );
  const message = reversed.reduce(
    (current, rule) => (rule.kind === "message" ? rule.apply(current) : current),
    reply,
  );
  return mapRecords(message, record);
}

/** CNAMEs that a rule points elsewhere; the new target is looked up by the whole server. */
function pointElsewhere(
  query: Query,
  targets: readonly ((text: string) => string | undefined)[],
  context: DnsContext,
  reply: DnsMessage,
  then: (reply: DnsMessage | string) => void,
): void {
  for (const target of targets) {
    const at = reply.answers.findIndex(
      (record) => record.type === "CNAME" && target(record.data) !== undefined,
    );
    const cname = reply.answers[at];
    if (cname === undefined) continue;
    const to = target(cname.data) ?? cname.data;
    const kept = reply.answers.slice(0, at).filter((record) => record.type === "CNAME");
    context.lookup(query, to, questionOf(query).type, (result) => {
      if (result.unknown !== undefined) return then(result.unknown);
      const [found] = result.replies;
      const answers = [...kept, { ...cname, data: to }, ...(found?.answers ?? [])];
      then({ ...reply, answers, tc: reply.tc || found?.tc === true });
    });
    return;
  }
  then(reply);
}
