import type { Controller } from "../controller.js";
import { questionOf, record, withQuestion } from "../messages.js";
import { fqdn, isInZone, longestZone } from "../names.js";
import {
  definePlugin,
  isUnwritten,
  type DnsContext,
  type Handler,
  type Plugin,
  type Query,
  type Result,
  type Walk,
} from "../plugin.js";
import { searchList } from "../resolv-conf.js";

/** The search path of a client. */
type SearchPath = (query: Query, context: DnsContext) => readonly string[];

/** `autopath [ZONE…] RESOLV-CONF|@PLUGIN`: walks the client's search list for it. Mirrors plugin/autopath. */
export const autopath: Plugin = definePlugin({
  name: "autopath",
  setup(c) {
    let zones: readonly string[] = [];
    let path: SearchPath = () => [];
    let place = c.place();
    while (c.next()) {
      place = c.place();
      const args = c.remainingArgs();
      const source = args.pop();
      if (source === undefined) throw c.plain("no resolv-conf specified");
      zones = c.zones(args);
      path = source.startsWith("@") ? fromPlugin(c, source.slice(1)) : fromFile(c, source);
    }
    return handler(place, zones, path);
  },
});

function fromFile(c: Controller, file: string): SearchPath {
  const text = c.readFile(file);
  if (file === "" || text === undefined) {
    throw c.plain(`failed to parse "${file}": open ${file}: no such file or directory`);
  }
  const path = [...searchList(text).map((domain) => fqdn(domain).toLowerCase()), ""];
  return () => path;
}

function fromPlugin(c: Controller, name: string): SearchPath {
  const { handlers, afterSetup } = c.config;
  const find = (): Handler | undefined => handlers.find((handler) => handler.name === name);
  afterSetup.push(() => {
    const found = find();
    if (found !== undefined && found.autopath === undefined) {
      throw c.plain(`plugin/autopath: ${name} does not implement the AutoPather interface`);
    }
  });
  return (query, context) => find()?.autopath?.(query, context) ?? [];
}

function handler(place: Handler["place"], zones: readonly string[], path: SearchPath): Handler {
  return {
    name: "autopath",
    place,
    serve(query, walk, context) {
      const { name } = questionOf(query);
      if (longestZone(zones, name) === undefined) {
        return walk.next(query, { action: "passed", why: "the name is in none of its zones" });
      }
      const list = path(query, context);
      const [first] = list;
      if (first === undefined)
        return walk.next(query, { action: "passed", why: "no search path for this client" });
      if (!isInZone(name, first)) {
        return walk.next(query, {
          action: "passed",
          why: `the name is not below ${first}, the first of the search path`,
        });
      }
      tryNames(query, walk, list, name.slice(0, name.length - first.length));
    },
  };
}

/** Asks below for each name in turn until one exists. */
function tryNames(query: Query, walk: Walk, list: readonly string[], base: string): void {
  const original = questionOf(query).name;
  const left = [...list];
  let first: Result | undefined;
  next();

  function next(): void {
    const element = left.shift();
    if (element === undefined) {
      const [reply] = first?.replies ?? [];
      if (first === undefined || reply === undefined)
        return walk.respond(first ?? { rcode: "SERVFAIL", replies: [] });
      const questions = [questionOf(query)];
      const answer = { ...first, replies: [{ ...reply, questions }] };
      return walk.respond(answer, { action: "answered", why: "no name of the search path exists" });
    }
    const name = element === "." ? base : `${base}${element}`;
    const asked = withQuestion(query, { name: fqdn(name) });
    walk.next(asked, { action: "tried", why: `${fqdn(name)} instead of ${original}` }, judge);
  }

  function judge(result: Result): void {
    if (result.unknown !== undefined || result.error !== undefined) return walk.respond(result);
    first ??= result;
    const [reply] = result.replies;
    if (isUnwritten(result.rcode) || reply === undefined || reply.rcode === "NXDOMAIN")
      return next();
    const other = reply.answers.find((answer) => answer.name !== original);
    const cname = other === undefined ? [] : [record(original, "CNAME", other.ttl, other.name)];
    const message = {
      ...reply,
      questions: [questionOf(query)],
      answers: [...cname, ...reply.answers],
    };
    walk.respond(
      { ...result, replies: [message] },
      { action: "answered", why: `${reply.questions[0]?.name} exists` },
    );
  }
}
