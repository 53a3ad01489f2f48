"""A miniature of CREMA-D: four recordings of two actors with the votes of their raters."""

from collections.abc import Collection
from pathlib import Path

from builders.recordings import write_recording

TABLES = {
    "VideoDemographics.csv": '"ActorID","Age","Sex","Race","Ethnicity"\n'
    '1001,51,"Male","Caucasian","Not Hispanic"\n'
    '1002,21,"Female","African American","Hispanic"\n',
    "processedResults/summaryTable.csv": '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel",'
    '"MultiModalVote","MultiModalLevel"\n'
    '"1","1001_DFA_ANG_XX","A","60.5","A:D","30:51","A","55"\n'
    '"2","1001_IEO_HAP_HI","N","69.1","H","92.22","H","64.78"\n'
    '"3","1002_TIE_NEU_XX","N:S","50:60","N","70","N","71"\n'
    '"4","1002_ITS_FEA_MD","F","50","F","70","F:S","71:20"\n',
    "processedResults/tabulatedVotes.csv": '"","A","D","F","H","N","S","fileName","numResponses","agreement"\n'
    '"100001",7,1,0,0,2,0,"1001_DFA_ANG_XX",10,0.7\n'
    '"100002",0,0,0,3,6,0,"1001_IEO_HAP_HI",9,0.667\n'
    '"100003",0,0,0,0,4,4,"1002_TIE_NEU_XX",8,0.5\n'
    '"100004",0,0,5,0,1,2,"1002_ITS_FEA_MD",8,0.625\n'
    '"200001",4,4,0,0,0,0,"1001_DFA_ANG_XX",8,0.5\n'
    '"200002",0,0,0,9,1,0,"1001_IEO_HAP_HI",10,0.9\n'
    '"200003",0,0,0,0,8,1,"1002_TIE_NEU_XX",9,0.889\n'
    '"200004",0,0,6,0,1,0,"1002_ITS_FEA_MD",7,0.857\n'
    '"300001",9,1,0,0,0,0,"1001_DFA_ANG_XX",10,0.9\n'
    '"300002",0,0,0,10,0,0,"1001_IEO_HAP_HI",10,1\n'
    '"300003",0,0,0,0,7,1,"1002_TIE_NEU_XX",8,0.875\n'
    '"300004",0,0,4,0,0,4,"1002_ITS_FEA_MD",8,0.5\n',
    "finishedResponses.csv": '"localid","queryType","clipName","respEmo","respLevel"\n'
    '"p1",1,"1001_DFA_ANG_XX","A",60\n'
    '"p2",1,"1001_DFA_ANG_XX","A",55\n'
    '"p3",1,"1001_DFA_ANG_XX","D",20\n'
    '"p1",2,"1001_DFA_ANG_XX","D",30\n'
    '"p1",1,"1001_IEO_HAP_HI","N",30\n'
    '"p2",1,"1001_IEO_HAP_HI","H",30\n'
    '"p2",3,"1001_IEO_HAP_HI","H",30\n',
}
CLIPS = ("1001_DFA_ANG_XX", "1001_IEO_HAP_HI", "1002_ITS_FEA_MD", "1002_TIE_NEU_XX")


def write_tables(root: Path, names: Collection[str] = tuple(TABLES), *, flat: bool = False) -> None:
    """The tables of those names, where the corpus has them or (``flat``) all in the root."""
    for place, text in TABLES.items():
        name = place.rpartition("/")[2]
        if name in names or place in names:
            path = root / (name if flat else place)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def write_tree(root: Path, *, suffix: str = ".wav") -> list[str]:
    """Recordings and tables; returns the recordings, relative to the root."""
    write_tables(root)
    return [write_recording(root / "AudioWAV" / f"{clip}{suffix}").relative_to(root).as_posix() for clip in CLIPS]
