import type { DnsMessage, DnsQuestion, DnsRecord } from "./dns-message.js";

/** A DNS message in tcpdump's words: `4660+ A? api.shop.`, `4660* 1/0/0 A 10.96.44.10`, `4660 NXDomain*- 0/1/0`. */
export function formatDns(message: DnsMessage): string {
  return message.qr ? formatReply(message) : formatQuery(message);
}

function formatQuery(message: DnsMessage): string {
  const flags = `${message.rd ? "+" : ""}${message.cd ? "%" : ""}`;
  const records = message.additionals.length + (message.edns === undefined ? 0 : 1);
  const additional = records === 0 ? "" : ` [${records}au]`;
  return `${message.id}${opcodeText(message)}${flags}${additional}${message.questions.map(formatQuestion).join("")}`;
}

function formatReply(message: DnsMessage): string {
  const rcode = RCODE_WORDS.get(message.rcode) ?? "";
  const flags = `${message.aa ? "*" : ""}${message.ra ? "" : "-"}${message.tc ? "|" : ""}${message.ad ? "$" : ""}`;
  const additionals = message.additionals.length + (message.edns === undefined ? 0 : 1);
  const counts = `${message.answers.length}/${message.authorities.length}/${additionals}`;
  const questions = message.questions.length === 1 ? "" : ` [${message.questions.length}q]`;
  const answers = message.answers.map((record) => ` ${formatAnswer(record)}`).join(",");
  return `${message.id}${opcodeText(message)}${rcode}${flags}${questions} ${counts}${answers}`;
}

function opcodeText(message: DnsMessage): string {
  return OPCODE_WORDS.get(message.opcode) ?? (message.opcode === 0 ? "" : ` op${message.opcode}`);
}

function formatQuestion(question: DnsQuestion): string {
  const ofClass =
    question.class === "IN" ? "" : ` ${CLASS_WORDS.get(question.class) ?? question.class}`;
  return ` ${question.type}${ofClass}? ${question.name}`;
}

/** Type and data, the fields in tcpdump's order. */
function formatAnswer(record: DnsRecord): string {
  const fields = record.data.split(" ");
  switch (record.type) {
    case "SRV":
      return `SRV ${fields[3]}:${fields[2]} ${fields[0]} ${fields[1]}`;
    case "MX":
      return `MX ${fields[1]} ${fields[0]}`;
    case "SOA":
      return "SOA";
    default:
      return `${record.type} ${record.data}`;
  }
}

const CLASS_WORDS: ReadonlyMap<string, string> = new Map([["CH", "CHAOS"]]);

const OPCODE_WORDS: ReadonlyMap<number, string> = new Map([
  [1, " inv_q"],
  [2, " stat"],
  [4, " notify"],
  [5, " update"],
]);

const RCODE_WORDS: ReadonlyMap<string, string> = new Map([
  ["FORMERR", " FormErr"],
  ["SERVFAIL", " ServFail"],
  ["NXDOMAIN", " NXDomain"],
  ["NOTIMP", " NotImp"],
  ["REFUSED", " Refused"],
  ["YXDOMAIN", " YXDomain"],
  ["YXRRSET", " YXRRSet"],
  ["NXRRSET", " NXRRSet"],
  ["NOTAUTH", " NotAuth"],
  ["NOTZONE", " NotZone"],
]);
