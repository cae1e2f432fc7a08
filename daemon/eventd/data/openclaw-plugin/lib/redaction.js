/**
 * Secrets are made unreadable before anything leaves OpenClaw: found by their shape, and replaced by markers
 * that nobody takes for the secret itself, such as `[redacted:github-token]`.
 *
 * Kinds and shapes are those of `eventd.redaction`, so that what was recorded and what was imported look alike.
 */

/** @param {string} kind @returns {string} What stands in place of a secret. */
const marker = (kind) => `[redacted:${kind}]`;

/** A part of a pattern that takes small and capital letters alike; flags count for a whole pattern only. */
const anyCase = (pattern) => pattern.replace(/(?<!\\)[a-z]/g, (letter) => `[${letter}${letter.toUpperCase()}]`);

const PEM = String.raw`(?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----`;
const WORDS = 'password|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?token|auth[_-]?token|token';
// The value of a password: to the end of the word, of what is quoted, or of a JSON text. No marker of ours, no
// placeholder or reference to where the value is kept, and nothing that has a kind of its own.
const OTHERS = 'sk-|[rs]k_|gh[pousr]_|github_pat_|xox[abeoprs]-|AKIA|ASIA|AIza|glpat-|npm_|eyJ|-----BEGIN';
const VALUE = String.raw`(?!\[redacted:|${OTHERS})(?![<$%*{(\[])[^\s"'\x60,;|<>\\]{6,256}`;

// Shape by kind; earlier ones have precedence. A named group is the secret in it, else all of it is.
const SHAPES = {
  'private-key': String.raw`-----BEGIN ${PEM}[^"'\x60]{0,16384}?-----END ${PEM}`
    + String.raw`|-----BEGIN ${PEM}(?:\\n|[A-Za-z0-9+/=\s]){0,16384}`,
  'github-token': String.raw`\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_[A-Za-z0-9_]{22,255})\b`,
  'anthropic-key': String.raw`\bsk-ant-[A-Za-z0-9_-]{16,255}`,
  'openai-key': String.raw`\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,255}`,
  'stripe-key': String.raw`\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}\b`,
  'slack-token': String.raw`\bxox[abeoprs]-[A-Za-z0-9-]{10,255}`,
  'aws-key': String.raw`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`,
  'google-key': String.raw`\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])`,
  'gitlab-token': String.raw`\bglpat-[A-Za-z0-9_-]{20,255}`,
  'npm-token': String.raw`\bnpm_[A-Za-z0-9]{36}\b`,
  'telegram-token': String.raw`\b\d{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])`,
  jwt: String.raw`\beyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,2048}`,
  'url-password': String.raw`\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@"'<>]{0,128}:(?<url>(?!\[redacted:)[^\s/@"'<>]{1,256})@`,
  'bearer-token': String.raw`\b${anyCase('bearer')}[ \t]+(?<bearer>(?!\[redacted:)[A-Za-z0-9._~+/-]{16,4096}=*)`,
  password: String.raw`(?<![A-Za-z0-9])(?:[A-Za-z0-9]{1,32}[_-]){0,4}(?:${anyCase(WORDS)})`
    + String.raw`["'\x60*]{0,3}[ \t]{0,3}[:=][ \t]{0,3}["'\x60*]{0,3}(?<word>${VALUE})`,
};
const KINDS = Object.keys(SHAPES);
const VALUES = ['url', 'bearer', 'word'];
const SECRET = new RegExp(Object.values(SHAPES).map((shape, n) => `(?<k${n}>${shape})`).join('|'), 'dg');

// None of the shapes is in a text without one of these; looking for them takes a fraction of the time.
const HINT = /sk[-_]|rk_|gh[pousr]_|github_pat|xox|AKIA|ASIA|AIza|glpat|npm_|:AA|eyJ|-----BEGIN|:\/\/|bearer|pass|pwd|secret|key|token/i;

// A field whose whole text is a secret: what a shape shows in a text, the name of the field shows here.
const SECRET_FIELD = new RegExp(`(?:${WORDS})$`, 'i');
const SECRET_VALUE = new RegExp(`^${VALUE}$`);

export class Redaction {
  #own;

  /**
   * @param {{name: string, pattern: string}[]} own Further shapes, of the configuration; they go first.
   * @param {(text: string) => void} complain Is told which of them cannot be used.
   */
  constructor(own = [], complain = () => {}) {
    this.#own = own.flatMap(({ name, pattern }) => {
      try {
        return [[name, new RegExp(pattern, 'g')]];
      } catch (error) {
        complain(`the redaction pattern ${name} cannot be used: ${error.message}`);
        return [];
      }
    });
  }

  /** @param {string} text @returns {string} */
  text(text) {
    for (const [kind, shape] of this.#own) text = text.replace(shape, marker(kind));
    if (!HINT.test(text)) return text;
    const parts = [];
    let at = 0;
    for (const found of text.matchAll(SECRET)) {
      const { groups } = found;
      const kind = KINDS[KINDS.findIndex((_, n) => groups[`k${n}`] !== undefined)];
      const value = VALUES.find((name) => groups[name] !== undefined);
      const [start, end] = value ? found.indices.groups[value] : found.indices[0];
      parts.push(text.slice(at, start), marker(kind));
      at = end;
    }
    return parts.join('') + text.slice(at);
  }

  /**
   * @param {string} name Of a field.
   * @param {string} text That it holds.
   * @returns {string}
   */
  field(name, text) {
    return SECRET_FIELD.test(name) && SECRET_VALUE.test(text) ? marker('password') : this.text(text);
  }
}
