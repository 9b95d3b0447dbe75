/** One knob: how it is read and written. `set` throws a RangeError with the kernel's word (`Invalid argument`) for a bad value. */
export interface Sysctl {
  get(): string;
  set(value: string): void;
}

/** Knobs that stand together, `net.ipv4.conf.eth0.*`: each is made when somebody asks for it. */
interface Folder {
  readonly names: readonly string[];
  readonly find: (name: string) => Sysctl | undefined;
}

/** The knobs of one namespace by dotted name. Floors keep typed values of their own and define their knobs here. */
export class Sysctls {
  readonly #knobs = new Map<string, Sysctl>();
  /** By what stands before their last dot. */
  readonly #folders = new Map<string, Folder>();

  define(name: string, sysctl: Sysctl): void {
    this.#knobs.set(name, sysctl);
  }

  /** Defines `path.NAME` for each name. A device brings a hundred knobs, and hardly any is ever asked for. */
  defineFolder<Name extends string>(
    path: string,
    names: readonly Name[],
    make: (name: Name) => Sysctl,
  ): void {
    const find = (wanted: string): Sysctl | undefined => {
      const name = names.find((known) => known === wanted);
      return name === undefined ? undefined : make(name);
    };
    this.#folders.set(path, { names, find });
  }

  /** Forgets the knobs of a device that goes. */
  removeFolder(path: string): void {
    this.#folders.delete(path);
  }

  /** Moves the knobs of a device to its new name; a dot in a device's name stands as a slash. */
  renameDevice(from: string, to: string): void {
    const end = `.${from.replaceAll(".", "/")}`;
    for (const [path, folder] of [...this.#folders]) {
      if (!path.endsWith(end)) continue;
      this.#folders.delete(path);
      this.#folders.set(`${path.slice(0, -end.length)}.${to.replaceAll(".", "/")}`, folder);
    }
  }

  find(name: string): Sysctl | undefined {
    const dot = name.lastIndexOf(".");
    return (
      this.#knobs.get(name) ?? this.#folders.get(name.slice(0, dot))?.find(name.slice(dot + 1))
    );
  }

  names(): readonly string[] {
    const inFolders = [...this.#folders].flatMap(([path, { names }]) =>
      names.map((name) => `${path}.${name}`),
    );
    return [...this.#knobs.keys(), ...inFolders];
  }
}

/** A knob over a number that is kept elsewhere, within bounds (both included). */
export function numberSysctl(
  get: () => number,
  set: (value: number) => void,
  low = 0,
  high = 2_147_483_647,
): Sysctl {
  return {
    get: () => String(get()),
    set(text) {
      const value = Number(text.trim());
      if (!Number.isInteger(value) || value < low || value > high)
        throw new RangeError("Invalid argument");
      set(value);
    },
  };
}
