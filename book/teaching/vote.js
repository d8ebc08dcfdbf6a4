// @ts-check
// One sound at a time: the next takes over from the last at the same moment of the sentence.
for (const round of document.querySelectorAll("[data-round]")) {
  const sounds = [...round.querySelectorAll("audio")];
  for (const sound of sounds) {
    sound.addEventListener("play", () => {
      for (const other of document.querySelectorAll("audio")) {
        if (other === sound || other.paused) continue;
        other.pause();
        if (sounds.includes(other)) sound.currentTime = other.currentTime;
      }
    });
  }
}
