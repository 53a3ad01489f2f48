/** Signs of buttons, drawn, since fonts lack some of them. */

const PATHS = { play: "M2 1l7 4-7 4z", pause: "M2 1h2.2v8H2zM5.8 1H8v8H5.8z", plus: "M4.2 1h1.6v3.2H9v1.6H5.8V9H4.2V5.8H1V4.2h3.2z", minus: "M1 4.2h8v1.6H1z" };

export const Glyph = ({ of }: { of: keyof typeof PATHS }) => (
  <svg class="glyph" viewBox="0 0 10 10" aria-hidden="true"><path d={PATHS[of]} /></svg>
);
