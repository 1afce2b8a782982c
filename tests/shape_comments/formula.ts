// The language of shape comments: `[B, 4E, 4E, D/8]`, `[nW, H/2·W/2, d]`, `[P + 1, D]`. Sizes are sums, products and
// quotients of numbers and letters; a letter may be a word (`dimOut`) and may have primes (`H'`); `E²` is a square.

/** A size, as JavaScript of `of(letter)`, and the letters in it. */
export interface Formula {
  readonly text: string;
  readonly letters: readonly string[];
  value(of: (letter: string) => number): number;
}

/** The sizes between the brackets of a shape. Undefined if the text is no shape. */
export function shapeOf(text: string): Formula[] | undefined {
  const sizes = text.split(",").map((size) => formula(size.trim()));
  return sizes.every((size) => size !== undefined) ? sizes : undefined;
}

const known = new Map<string, Formula | undefined>();

/** One size. Undefined if the text is none. */
export function formula(text: string): Formula | undefined {
  if (!known.has(text)) known.set(text, parse(text));
  return known.get(text);
}

function parse(text: string): Formula | undefined {
  const tokens = text.match(/\d+|[A-Za-zα-ω_]\w*'*|[²·/+()−-]|\S/g) ?? [];
  const letters = new Set<string>();
  let at = 0;
  type Node = (of: (letter: string) => number) => number;
  const atom = (): Node => {
    const token = tokens[at++] ?? "";
    let node: Node;
    if (/^\d/.test(token)) node = () => Number(token);
    else if (/^[A-Za-zα-ω_]/.test(token)) {
      letters.add(token);
      node = (of) => of(token);
    } else if (token === "(") {
      node = sum();
      if (tokens[at++] !== ")") throw new SyntaxError(text);
    } else throw new SyntaxError(text);
    if (tokens[at] !== "²") return node;
    at++;
    return (of) => node(of) ** 2;
  };
  const product = (): Node => {
    let left = atom();
    for (;;) {
      const [before, token] = [left, tokens[at]];
      if (token === "·" || token === "/") {
        at++;
        const right = atom();
        left = token === "·" ? (of) => before(of) * right(of) : (of) => before(of) / right(of);
      } else if (token !== undefined && /^[A-Za-zα-ω_(]/.test(token)) {
        const right = atom();
        left = (of) => before(of) * right(of);
      } else return left;
    }
  };
  const sum = (): Node => {
    let left = product();
    while (["+", "-", "−"].includes(tokens[at])) {
      const [before, sign] = [left, tokens[at++] === "+" ? 1 : -1];
      const right = product();
      left = (of) => before(of) + sign * right(of);
    }
    return left;
  };
  try {
    const value = sum();
    return at === tokens.length ? { text, letters: [...letters], value } : undefined;
  } catch {
    return undefined;
  }
}
