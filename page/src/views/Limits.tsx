/** Honest words about what an answer is, and what it is not. */

import type { Model } from "../api";

export function Limits({ models }: { models: Model[] }) {
  return (
    <section id="limits" class="limits" aria-labelledby="limits-title">
      <h2 id="limits-title">What it cannot tell</h2>
      <div class="columns">
        <div>
          <h3>A sound, not a feeling</h3>
          <p>
            An answer says what a voice sounds like to a model. What a person feels it does not know: people hide feelings, play them,
            joke, or simply speak loudly.
          </p>
        </div>
        <div>
          <h3>Learnt from actors</h3>
          <p>
            The models that come with emotune, mini and mini-emodb, learnt from actors: mini from English, German and Polish, mini-emodb from German
            alone. In daily talk, other languages, children's or old voices, noise and poor lines they err more often, and nobody has measured
            how often on your recordings. Of any other model, ask its makers.
          </p>
        </div>
        <div>
          <h3>Uncertain is an answer</h3>
          <p>
            The percentages are how sure the model is, not how often it is right on your recordings. Set the threshold where doubt should be
            said aloud. A model knows its own few words alone: it cannot say that a voice sounds like something else.
          </p>
        </div>
        <div>
          <h3>Not for judging people</h3>
          <p>
            Do not decide by it about a person: not on a job, a grade, a loan, a treatment or the truth of words. The European Union
            forbids reading emotions at work and in schools, but for medical or safety reasons (AI Act, Article 5). Record nobody who has not
            agreed.
          </p>
        </div>
      </div>
      {models.length > 0 && (
        <p class="hint">
          On this server: {models.map((one) => `${one.name} (${one.licence ?? "licence not stated"})`).join(", ")}. Keep to the licences of
          the models; emotune itself is under Apache-2.0. <a href="static/licences.txt">Licences of this page's parts</a>
        </p>
      )}
    </section>
  );
}
