/** Hands the microphone's samples to the page, 2048 at a time. */
class Capture extends AudioWorkletProcessor {
  block = new Float32Array(2048);
  filled = 0;

  process([input]) {
    const samples = input[0];
    if (!samples) return true;
    this.block.set(samples, this.filled);
    this.filled += samples.length;
    if (this.filled === this.block.length) {
      this.port.postMessage(this.block);
      this.block = new Float32Array(2048);
      this.filled = 0;
    }
    return true;
  }
}
registerProcessor("capture", Capture);
