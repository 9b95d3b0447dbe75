import { civilTime, daysSinceEpoch } from "../calendar.js";
import { type MatchExtension, defineMatch } from "../extension.js";
import { leadingNumber, parseNumber } from "../numbers.js";
import { flag, option } from "../options.js";
import { refuse } from "../refusal.js";

interface TimeMatch {
  /** Seconds since 1970. */
  readonly dateStart: number;
  readonly dateStop: number;
  /** Seconds since midnight. */
  readonly dayStart: number;
  readonly dayStop: number;
  /** Bit n for day n of the month; bit n for weekday n, Monday being 1. */
  readonly monthdays: number;
  readonly weekdays: number;
  readonly kernelZone: boolean;
  readonly contiguous: boolean;
}

const DAY_END = 86_399;
const DATE_MAX = 2_147_483_647;
const ALL_MONTHDAYS = 0xffff_fffe;
const ALL_WEEKDAYS = 0xfe;
const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] as const;

const DATESTART = option("datestart", readDate);
const DATESTOP = option("datestop", readDate);
const TIMESTART = option("timestart", readTime);
const TIMESTOP = option("timestop", readTime);
const WEEK = option("weekdays", readWeekdays, { not: true });
const MONTH = option("monthdays", readMonthdays, { not: true });
const LOCALTZ = flag("localtz");
const UTC = flag("utc", { excludes: ["kerneltz"] });
const KERNELTZ = flag("kerneltz", { excludes: ["utc"] });
const CONTIGUOUS = flag("contiguous");

/** `-m time`: the time of day, the day and the date. The clock is the simulation's, UTC from 1970 on. */
export const time: MatchExtension = defineMatch<TimeMatch>({
  name: "time",
  mirrors: "net/netfilter/xt_time.c:time_mt()",
  fidelity: "simplified",
  examples: [
    "--timestart 09:00:00 --timestop 17:30:00 --datestop 2038-01-19T03:14:07",
    "--weekdays Mon,Sun --monthdays 1,15,31 --datestart 2024-01-01T00:00:00 --datestop 2024-12-31T23:59:59 --kerneltz",
  ],
  options: [
    DATESTART,
    DATESTOP,
    TIMESTART,
    TIMESTOP,
    WEEK,
    MONTH,
    LOCALTZ,
    UTC,
    KERNELTZ,
    CONTIGUOUS,
  ],
  check(args) {
    const [start, stop] = [args.value(TIMESTART) ?? 0, args.value(TIMESTOP) ?? DAY_END];
    if (args.has(CONTIGUOUS) && start < stop)
      throw refuse("time: --contiguous only makes sense when stoptime is smaller than starttime");
  },
  parse(args) {
    const flipped = (given: { value: number; invert: boolean } | undefined, all: number): number =>
      given === undefined ? all : ((given.invert ? ~given.value : given.value) & all) >>> 0;
    return {
      dateStart: args.value(DATESTART) ?? 0,
      dateStop: args.value(DATESTOP) ?? DATE_MAX,
      dayStart: args.value(TIMESTART) ?? 0,
      dayStop: args.value(TIMESTOP) ?? DAY_END,
      monthdays: flipped(args.get(MONTH), ALL_MONTHDAYS),
      weekdays: flipped(args.get(WEEK), ALL_WEEKDAYS),
      kernelZone: args.has(KERNELTZ),
      contiguous: args.has(CONTIGUOUS),
    };
  },
  format(params) {
    const words: string[] = [];
    if (params.dayStart !== 0 || params.dayStop !== DAY_END)
      words.push(`--timestart ${clock(params.dayStart)} --timestop ${clock(params.dayStop)}`);
    if (params.weekdays !== ALL_WEEKDAYS)
      words.push(
        `--weekdays ${WEEKDAYS.filter((_, index) => (params.weekdays & (2 << index)) !== 0).join(",")}`,
      );
    if (params.monthdays !== ALL_MONTHDAYS)
      words.push(`--monthdays ${bits(params.monthdays).join(",")}`);
    if (params.dateStart !== 0) words.push(`--datestart ${date(params.dateStart)}`);
    words.push(`--datestop ${date(params.dateStop)}`);
    if (params.kernelZone) words.push("--kerneltz");
    if (params.contiguous) words.push("--contiguous");
    return words.join(" ");
  },
  matches(params, _, state) {
    const now = Math.floor(state.ns.sim.queue.now / 1_000_000);
    if (now < params.dateStart || now > params.dateStop) return false;
    const ofDay = now % 86_400;
    const { dayStart, dayStop } = params;
    if (
      dayStart < dayStop ? ofDay < dayStart || ofDay > dayStop : ofDay < dayStart && ofDay > dayStop
    )
      return false;
    // After midnight a contiguous span still belongs to the day before.
    const yesterday = params.contiguous && dayStart >= dayStop && ofDay <= dayStop;
    const { weekday, day } = civilTime(yesterday ? now - 86_400 : now);
    if ((params.weekdays & (1 << (weekday === 0 ? 7 : weekday))) === 0) return false;
    return params.monthdays === ALL_MONTHDAYS || (params.monthdays & (1 << day)) !== 0;
  },
  why: (_, __, state) => `it is ${date(Math.floor(state.ns.sim.queue.now / 1_000_000))} UTC`,
});

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

function clock(seconds: number): string {
  return [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60]
    .map(pad)
    .join(":");
}

function date(seconds: number): string {
  const { year, month, day, hour, minute, second } = civilTime(seconds);
  return `${year}-${pad(month)}-${pad(day)}T${[hour, minute, second].map(pad).join(":")}`;
}

function bits(mask: number): readonly number[] {
  return Array.from({ length: 31 }, (_, index) => index + 1).filter(
    (day) => (mask & (1 << day)) !== 0,
  );
}

/** `YYYY[-MM[-DD[Thh[:mm[:ss]]]]]`. */
function readDate(text: string): number {
  const parts =
    /^(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:T(\d{1,2})(?::(\d{1,2})(?::(\d{1,2}))?)?)?)?)?$/.exec(
      text,
    );
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = (parts ?? [])
    .slice(1)
    .map((part) => (part === undefined ? undefined : Number(part)));
  const fits =
    year >= 1970 &&
    year <= 2038 &&
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= 31 &&
    hour <= 23 &&
    minute <= 59 &&
    second <= 59;
  const seconds = daysSinceEpoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
  if (parts === null || !fits || seconds > DATE_MAX) {
    throw refuse(`Invalid date "${text}" specified. Should be YYYY[-MM[-DD[Thh[:mm[:ss]]]]]`);
  }
  return seconds;
}

/** `hh:mm[:ss]`. */
function readTime(text: string): number {
  const parts = /^(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?$/.exec(text);
  const [hour = 99, minute = 99, second = 0] = (parts ?? [])
    .slice(1)
    .map((part) => (part === undefined ? undefined : Number(part)));
  if (hour > 23 || minute > 59 || second > 59) {
    throw refuse(
      `invalid time "${text}" specified, should be hh:mm[:ss] format and within the boundaries`,
    );
  }
  return hour * 3_600 + minute * 60 + second;
}

function readWeekdays(text: string): number {
  let mask = 0;
  for (const word of text.split(",")) {
    const number = leadingNumber(word);
    if (number === 0) throw refuse("No, the week does NOT begin with Sunday.");
    const named = WEEKDAYS.findIndex(
      (name) => word.length >= 2 && name.toLowerCase().startsWith(word.toLowerCase().slice(0, 3)),
    );
    const day = number ?? named + 1;
    if (day < 1 || day > 7) throw refuse(`${word} is not a valid day specifier`);
    mask |= 1 << day;
  }
  return mask;
}

function readMonthdays(text: string): number {
  let mask = 0;
  for (const word of text.split(",")) {
    const day = parseNumber(word, 0, 31);
    if (day === undefined) throw refuse(`${word} is not a valid day for --monthdays`);
    mask |= 1 << day;
  }
  return (mask & ALL_MONTHDAYS) >>> 0;
}
